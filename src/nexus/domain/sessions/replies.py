"""Replies while they are written: by the process that was asked, told event by event, kept once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import get_args

import structlog
from msgspec import structs

from nexus.domain.agents.model import Agent
from nexus.domain.agents.service import Agents
from nexus.domain.core.errors import Conflict, NexusError, Stale, Unavailable
from nexus.domain.core.failpoints import hit
from nexus.domain.core.instants import Clock, instant
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.log import Batch, EventLog, Stream
from nexus.domain.ports.models import ChatMessage
from nexus.domain.ports.rows import check, patch, when
from nexus.domain.runtime.journal import Guard, Journals
from nexus.domain.runtime.steps import OutcomeUnknown
from nexus.domain.sessions import rules
from nexus.domain.sessions.keeping import Keeping, owner
from nexus.domain.sessions.model import (
    Ending,
    Reply,
    ReplyEvent,
    ReplyStarted,
    ReplyStatus,
    ReplyWaiting,
    Session,
    WriteReply,
)
from nexus.domain.sessions.tables import MESSAGES, REPLIES
from nexus.domain.sessions.writing import Offered, Writing

LEASE_SECONDS = 45.0
MOST_DEATHS = 1
HISTORY = 60
RESTARTED = "The server died twice while it wrote."
TAKEN_OVER = "The server was restarted while it wrote: the answer begins anew."

ENDS = get_args(Ending)

logger = structlog.get_logger()


class Replies:
    def __init__(
        self,
        *,
        tables: Tables,
        agents: Agents,
        keeping: Keeping,
        log: EventLog,
        journals: Journals,
        worker_id: str,
        clock: Clock,
    ) -> None:
        self._tables, self._agents, self._keeping = tables, agents, keeping
        self._journals, self._worker_id, self._clock = journals, worker_id, clock
        self._offered, self._held = dict[str, Offered](), dict[str, Reply]()
        self._stream: Stream[ReplyEvent] = Stream(log, kinds=get_args(ReplyEvent), ends=ENDS)

    def beginning(self, session: Session, agent: Agent, *, asked: str, reply_id: str) -> Reply:
        """The row of a reply that this process is going to write."""
        now = self._clock()
        return Reply(
            session_id=session.session_id,
            reply_id=reply_id,
            agent_id=agent.agent_id,
            tenant_id=session.tenant_id,
            user_id=session.user_id,
            asked=asked,
            worker_id=self._worker_id,
            dispatch=rules.DISPATCH,
            due_at=instant(now + LEASE_SECONDS),
            created_at=instant(now),
        )

    async def follow(self, reply: Reply, after: int) -> AsyncIterator[Batch] | None:
        """Everything behind a position, then live; None when the reply is over and was read to its end."""
        topic = rules.topic(reply.reply_id)
        if reply.status != "running":
            end = await self._stream.end(topic)
            if not end or (reply.dispatch and reply.worker_id != self._worker_id):
                await self._told(reply)
            elif after and after >= end:
                return None
        return self._stream.batches(topic, after)

    def expect(self, reply: Reply) -> bool:
        """Its job is about to be offered: until that begins, the reply is in the hands of this process. False when it is already."""
        if self._has(reply):
            return False
        self._offered[reply.reply_id] = Offered(reply, self._writing(reply.reply_id))
        return True

    async def wait(self, reply: Reply, before: int) -> None:
        """Tells that so many replies are before this one, which has told nothing yet."""
        if offered := self._offered.get(reply.reply_id):
            await offered.writing.tell(ReplyWaiting(reply.session_id, reply.reply_id, "queue", before))

    async def stop(self, reply: Reply) -> bool:
        """Ends a reply that is to be stopped, where its job has not begun and does not any more. False where that has."""
        if reply.worker_id != self._worker_id or (offered := self._offered.pop(reply.reply_id, None)) is None:
            return False
        if reply.fence > 1:
            await self._recalled(reply, offered.writing)
        await self._finish(reply, offered.writing, "cancelled")
        return True

    async def hand_back(self, session_id: str, reply_id: str) -> None:
        """This process ends before the reply's job could begin: the next one begins it, and nothing was lost."""
        if offered := self._offered.pop(reply_id, None):
            await self._let_go(await self._tables.get(REPLIES, session_id, reply_id), offered.reply.fence)

    async def write(self, session_id: str, reply_id: str) -> None:
        """The job: the agent's answer becomes events as it comes; the text is kept once, then the last event says so."""
        offered = self._offered.pop(reply_id, None)
        writing = offered.writing if offered else self._writing(reply_id)
        try:
            reply = await self._tables.get(REPLIES, session_id, reply_id)
        except asyncio.CancelledError:
            if offered:
                await self._cancelled(offered.reply, writing)
            raise
        if reply.status != "running" or reply.worker_id != self._worker_id or reply_id in self._held:
            return
        self._held[reply_id] = reply
        try:
            await self._written(reply, writing)
        finally:
            del self._held[reply_id]

    def _writing(self, reply_id: str) -> Writing:
        return Writing(self._stream, rules.topic(reply_id))

    async def _written(self, reply: Reply, writing: Writing) -> None:
        try:
            await self._begun(reply, writing)
            await self._answered(reply, writing)
        except asyncio.CancelledError:
            await self._cancelled(reply, writing)
            raise
        except OutcomeUnknown as unknown:
            await self._finish(reply, writing, "interrupted", f"{unknown.detail} You decide whether to ask again.")
        except Unavailable as error:
            await self._finish(reply, writing, "failed", error.detail)
        except Conflict as error:
            if not await self._is_ours(reply):
                logger.info("reply.lost", reply_id=reply.reply_id)
                return
            await self._finish(reply, writing, "failed", error.detail)
        except NexusError as error:
            await self._finish(reply, writing, "failed", error.detail)
        except TimeoutError:
            await self._finish(reply, writing, "failed", "The answer took longer than the agent's limit.")
        except Exception:
            logger.exception("reply.crashed", reply_id=reply.reply_id)
            await self._finish(reply, writing, "failed", "Something went wrong inside the server.")
        else:
            await self._finish(reply, writing, "completed")

    async def _begun(self, reply: Reply, writing: Writing) -> None:
        """That it has started; or, after a take-over, that everything heard so far is void."""
        hit("before:reply.start")
        if reply.fence > 1:
            await self._recalled(reply, writing)
        if reply.control_status == "stopped":
            raise asyncio.CancelledError
        if writing.has_begun:
            await writing.reset(TAKEN_OVER)
        else:
            await writing.tell(ReplyStarted(reply.session_id, reply.reply_id))
        hit("after:reply.start")

    async def _recalled(self, reply: Reply, writing: Writing) -> None:
        """What it cost is unknown, unless it was handed back before it began."""
        await writing.recall()
        writing.usage_unknown = writing.has_begun or reply.deaths > 0

    async def _answered(self, reply: Reply, writing: Writing) -> None:
        agent = await self._agents.get(owner(reply), reply.agent_id)
        limits = (await self._agents.resolve(agent)).limits
        history, journal = await self._history(reply), self._journals(rules.topic(reply.reply_id), self._guard(reply))
        async with (
            asyncio.timeout(limits.seconds),
            aclosing(self._agents.answer(agent, history, journal=journal)) as answer,
        ):
            async for item in answer:
                hit("before:reply.delta")
                await writing.hear(item)
                hit("after:reply.delta")

    def _guard(self, reply: Reply) -> Guard:
        held = check(REPLIES, reply, when(status="running", fence=reply.fence))
        return lambda: (held,)

    async def _is_ours(self, reply: Reply) -> bool:
        now = await self._tables.get(REPLIES, reply.session_id, reply.reply_id)
        return now.status == "running" and now.fence == reply.fence

    async def _history(self, reply: Reply) -> list[ChatMessage]:
        """What was said up to the message that is answered."""
        window = Window(limit=HISTORY, newest_first=True, until=reply.asked)
        page = await self._tables.page(MESSAGES, reply.session_id, window=window)
        return rules.context(page.items[::-1])

    async def _cancelled(self, held: Reply, writing: Writing) -> None:
        """Stopped by its user: what was written so far is kept. By the end of this process: the next one goes on with it."""
        reply = await self._tables.get(REPLIES, held.session_id, held.reply_id)
        if reply.control_status == "stopped":
            await self._finish(reply, writing, "cancelled")
        else:
            await self._let_go(reply, held.fence)

    async def _let_go(self, reply: Reply, fence: int) -> None:
        with contextlib.suppress(Stale):
            ours = when(status="running", fence=fence)
            await self._tables.commit(patch(REPLIES, reply, ours, worker_id=None, due_at=instant(self._clock())))

    async def _finish(self, reply: Reply, writing: Writing, status: ReplyStatus, error: str | None = None) -> None:
        """Rows first, then the last event, then the reply leaves the sweeper: whatever a crash leaves, `recover` goes on."""
        hit("before:reply.keep")
        try:
            ended = await self._keeping.kept(reply, writing, status, error)
        except Stale:
            logger.info("reply.ended_elsewhere", reply_id=reply.reply_id)
            return
        hit("after:reply.keep")
        hit("before:reply.end")
        await writing.end(rules.ending(ended))
        hit("after:reply.end")
        hit("before:reply.leave")
        await self._tables.commit(patch(REPLIES, ended, when(status=ended.status), dispatch=None, due_at=None))
        hit("after:reply.leave")

    async def beat(self) -> None:
        """Tells that the replies of this process are being written, or wait here until they are."""
        for reply in [*self._held.values(), *(offered.reply for offered in self._offered.values())]:
            now = await self._tables.get(REPLIES, reply.session_id, reply.reply_id)
            fields = {"heartbeat": now.heartbeat + 1, "due_at": instant(self._clock() + LEASE_SECONDS)}
            with contextlib.suppress(Stale):
                await self._tables.commit(patch(REPLIES, now, when(status="running", fence=reply.fence), **fields))

    async def due(self, *, alone: bool = False) -> list[Reply]:
        """Replies that somebody should look at: their time has come, or (`alone`) they are not this process' own."""
        until = None if alone else instant(self._clock())
        found, cursor, more = list[Reply](), None, True
        while more:
            window = Window(limit=100, until=until, cursor=cursor)
            page = await self._tables.page(REPLIES, rules.DISPATCH, index="DispatchIndex", window=window)
            found += (reply for reply in page.items if not self._has(reply))
            cursor, more = page.cursor, alone and page.cursor is not None
        return found

    def _has(self, reply: Reply) -> bool:
        return reply.reply_id in self._held or reply.reply_id in self._offered

    async def take_over(self, seen: Reply) -> WriteReply | None:
        """Goes on in place of a process that is gone; after its second death the reply is interrupted. Answers the job to run, if there is one."""
        reply = await self._tables.get(REPLIES, seen.session_id, seen.reply_id)
        if reply.fence != seen.fence or self._has(reply):
            return None
        if reply.status != "running":
            await self._told(reply)
            return None
        hit("before:reply.take_over")
        deaths = reply.deaths + (reply.worker_id is not None)
        if deaths > MOST_DEATHS or reply.control_status == "stopped":
            await self._given_up(reply)
            return None
        due = instant(self._clock() + LEASE_SECONDS)
        fields = {"fence": reply.fence + 1, "deaths": deaths, "worker_id": self._worker_id, "due_at": due}
        with contextlib.suppress(Stale):
            await self._tables.commit(patch(REPLIES, reply, when(status="running", fence=reply.fence), **fields))
            hit("after:reply.take_over")
            self.expect(structs.replace(reply, **fields))
            return WriteReply(session_id=reply.session_id, reply_id=reply.reply_id)
        return None

    async def _given_up(self, reply: Reply) -> None:
        writing = self._writing(reply.reply_id)
        await self._recalled(reply, writing)
        status: ReplyStatus = "cancelled" if reply.control_status == "stopped" else "interrupted"
        await self._finish(reply, writing, status, None if status == "cancelled" else RESTARTED)

    async def _told(self, reply: Reply) -> None:
        """The last event of a reply whose row says that it is over, if the log lacks it."""
        topic = rules.topic(reply.reply_id)
        told = await self._stream.read(topic)
        if not (told and isinstance(told[-1].event, ENDS)):
            writing = Writing(self._stream, topic, at=told[-1].position if told else 0)
            with contextlib.suppress(Conflict):  # another reader had it told meanwhile
                for event in rules.lost(reply, [one.event for one in told]):
                    await writing.tell(event)
                await writing.end(rules.ending(reply))
        await self._tables.commit(patch(REPLIES, reply, when(status=reply.status), dispatch=None, due_at=None))
