"""Replies while they are written: by the process that was asked, emitted event by event, kept once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import structlog
from msgspec import structs

from nexus.domain.agents.model import Agent
from nexus.domain.agents.service import Agents
from nexus.domain.core.errors import Conflict, NexusError, Stale, Unavailable
from nexus.domain.core.failpoints import hit
from nexus.domain.core.instants import Clock, instant
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.log import Batch, Stream
from nexus.domain.ports.models import ChatMessage
from nexus.domain.ports.rows import check, patch, when
from nexus.domain.runtime.journal import Guard, Journals
from nexus.domain.runtime.service import Runtime
from nexus.domain.runtime.steps import OutcomeUnknown
from nexus.domain.sessions import rules
from nexus.domain.sessions.completion import ReplyCompletion, owner, run_whole
from nexus.domain.sessions.leases import Lease, Leases
from nexus.domain.sessions.model import (
    Part,
    Reply,
    ReplyEvent,
    ReplyReset,
    ReplyStarted,
    ReplyStatus,
    ReplyWaiting,
    Session,
    WriteReply,
    join_text,
)
from nexus.domain.sessions.reply_stream import ReplyStream
from nexus.domain.sessions.tables import MESSAGES, REPLIES

MOST_DEATHS = 1
HISTORY = 60
RESTARTED = "The server died twice while it wrote."
TAKEN_OVER = "The server was restarted while it wrote: the answer begins anew."

logger = structlog.get_logger()


class Replies:
    def __init__(
        self,
        *,
        tables: Tables,
        agents: Agents,
        runtime: Runtime,
        completion: ReplyCompletion,
        stream: Stream[ReplyEvent],
        journals: Journals,
        worker_id: str,
        clock: Clock,
    ) -> None:
        self._tables, self._agents, self._runtime = tables, agents, runtime
        self._completion, self._stream = completion, stream
        self._journals, self._worker_id, self._clock = journals, worker_id, clock
        self._leases = Leases(tables=tables, worker_id=worker_id, clock=clock)

    def make_reply(self, session: Session, agent: Agent, reply_id: str, asked: str, said: Sequence[Part]) -> Reply:
        """The row of a reply that this process is going to write: the answer to what was `said` in the message `asked`."""
        return Reply(
            reply_id=reply_id,
            session_id=session.session_id,
            agent_id=agent.agent_id,
            tenant_id=session.tenant_id,
            user_id=session.user_id,
            asked=asked,
            input=tuple(said),
            worker_id=self._worker_id,
            dispatch=rules.DISPATCH,
            due_at=self._leases.next_due(),
            created_at=instant(self._clock()),
        )

    async def follow(self, reply: Reply, after: int) -> AsyncIterator[Batch] | None:
        """Everything behind a position, then live; None when the reply is over and was read to its end."""
        topic = rules.topic(reply.reply_id)
        if reply.status != "running":
            end = await self._stream.end(topic)
            if not end or (reply.dispatch and reply.worker_id != self._worker_id):
                await self._completion.repair(reply)
            elif after and after >= end:
                return None
        return self._stream.batches(topic, after)

    def find_in_hand(self, reply_id: str) -> Reply | None:
        """A reply that this process writes or is going to write, as it was when it got it."""
        lease = self._leases.find(reply_id)
        return lease.reply if lease and not lease.writing.is_ending else None

    def expect(self, reply: Reply, *, again: bool = False) -> ReplyStream | None:
        """Its job is about to be offered: until that begins, the reply is in the hands of this process. None when it is already.
        `again`: an earlier job may have emitted things."""
        if reply.reply_id in self._leases:
            return None
        writing = self._writing(reply.reply_id)
        self._leases.hold(Lease(reply, writing, replays=again or reply.fence > 1))
        return writing

    async def find_owned(self, reply: Reply) -> Reply | None:
        """The reply as it is now; None when it is over, or not this process' to write."""
        return await self._leases.find_owned(reply)

    async def wait(self, reply: Reply, before: int) -> None:
        """Tells that so many replies are before this one, which has emitted nothing yet."""
        if lease := self._leases.offered(reply.reply_id):
            lease.writing.session = lease.writing.agent = None
            await lease.writing.emit(ReplyWaiting(reply.session_id, reply.reply_id, "queue", before))

    async def stop(self, reply_id: str) -> bool:
        """Ends a reply that is to be stopped, where its job has not begun and does not any more. False where that has, and where the
        reply is another's by now."""
        if (lease := self._leases.take(reply_id)) is None:
            return False
        if (reply := await self._leases.find_fenced(lease.reply)) is None:
            return False
        await _replay(lease)
        await self._completion.finish(reply, lease.writing, "cancelled")
        return True

    async def release(self, reply_id: str) -> None:
        """This process ends before the reply's job could begin: the next one begins it, and nothing was lost."""
        if lease := self._leases.take(reply_id):
            reply = await self._tables.get(REPLIES, reply_id)
            await self._leases.release(reply, lease.reply.fence)

    async def write(self, reply_id: str) -> None:
        """The job: the agent's answer becomes events as it comes; the text is kept once, then the last event says so."""
        if (lease := self._leases.begin(reply_id)) is None:
            return
        try:
            is_fresh = lease.writing.agent is not None
            if reply := lease.reply if is_fresh else await self._leases.find_fenced(lease.reply):
                await self._write(reply, lease)
        except asyncio.CancelledError:
            await run_whole(self._cancel(lease))
            raise
        finally:
            self._leases.drop(lease)

    def _writing(self, reply_id: str) -> ReplyStream:
        return ReplyStream(self._stream, rules.topic(reply_id))

    async def _write(self, reply: Reply, lease: Lease) -> None:
        writing = lease.writing
        try:
            is_new = await self._begin(reply, lease)
            await self._answer(reply, writing, is_new=is_new)
        except OutcomeUnknown as unknown:
            await self._completion.finish(
                reply, writing, "interrupted", f"{unknown.detail} You decide whether to ask again."
            )
        except Unavailable as error:
            await self._completion.finish(reply, writing, "failed", error.detail)
        except Conflict as error:
            if await self._leases.find_fenced(reply) is None:
                logger.info("reply.lost", reply_id=reply.reply_id)
                return
            await self._completion.finish(reply, writing, "failed", error.detail)
        except NexusError as error:
            await self._completion.finish(reply, writing, "failed", error.detail)
        except TimeoutError:
            await self._completion.finish(reply, writing, "failed", "The answer took longer than the agent's limit.")
        except Exception:
            logger.exception("reply.crashed", reply_id=reply.reply_id)
            await self._completion.finish(reply, writing, "failed", "Something went wrong inside the server.")
        else:
            await self._completion.finish(reply, writing, "completed")

    async def _begin(self, reply: Reply, lease: Lease) -> bool:
        """Emits that it has started, and answers True; or, after a take-over, that everything heard so far is void."""
        hit("before:reply.start")
        await lease.writing.flush()
        await _replay(lease)
        if reply.control_status == "stopped":
            raise asyncio.CancelledError
        is_new = reply.fence == 1 and not lease.writing.has_begun
        started = ReplyStarted(reply.session_id, reply.reply_id)
        await lease.writing.begin(started, again=ReplyReset(TAKEN_OVER), now=self._clock())
        hit("after:reply.start")
        return is_new

    async def _answer(self, reply: Reply, writing: ReplyStream, *, is_new: bool) -> None:
        agent = writing.agent = writing.agent or await self._agents.get(owner(reply), reply.agent_id)
        spec, history = await self._agents.resolve(agent), await self._history(reply, writing.session)
        journal = self._journals(scope=rules.topic(reply.reply_id), guard=self._guard(reply), is_new=is_new)
        async with (
            asyncio.timeout(spec.limits.seconds),
            aclosing(self._runtime.answer(spec, history, journal=journal)) as answer,
        ):
            async for item in answer:
                hit("before:reply.delta")
                await writing.consume(item)
                hit("after:reply.delta")

    def _guard(self, reply: Reply) -> Guard:
        held = check(REPLIES, reply, when(status="running", fence=reply.fence))
        return lambda: (held,)

    async def _history(self, reply: Reply, session: Session | None) -> list[ChatMessage]:
        """What was said, up to the input that is answered."""
        if reply.session_id is None or (session and session.message_count == 1):
            return [ChatMessage("user", join_text(reply.input, "\n"))]
        window = Window(limit=HISTORY, newest_first=True, until=reply.asked)
        page = await self._tables.page(MESSAGES, reply.session_id, window=window)
        return rules.context(page.items[::-1])

    async def _cancel(self, lease: Lease) -> None:
        """Stopped by its user: what was written so far is kept. By the end of this process: the next one goes on with it."""
        reply = await self._leases.find_fenced(lease.reply)
        if reply and reply.control_status == "stopped":
            await _replay(lease)
            await self._completion.finish(reply, lease.writing, "cancelled")
        elif reply:
            await self._leases.release(reply, reply.fence)

    async def clear(self, replies: Sequence[Reply]) -> None:
        """Removes what lies beside their rows: the journals and the logs of replies that are over."""
        topics = [rules.topic(reply.reply_id) for reply in replies]
        for topic in topics:
            await self._journals(scope=topic, guard=lambda: ()).forget(0)
        await self._stream.delete(topics)

    async def beat(self) -> None:
        """Tells that the replies of this process are being written, or wait here until they are."""
        await self._leases.beat()

    async def due(self, *, alone: bool = False) -> list[Reply]:
        """Replies that somebody should look at: their time has come, or (`alone`) they are not this process' own."""
        return await self._leases.due(alone=alone)

    async def take_over(self, seen: Reply) -> WriteReply | None:
        """Goes on in place of a process that is gone; after its second death the reply is interrupted. Answers the job to run, if there is one."""
        reply = await self._tables.get(REPLIES, seen.reply_id)
        if reply.fence != seen.fence or reply.reply_id in self._leases:
            return None
        if reply.status != "running":
            await self._completion.repair(reply)
            return None
        hit("before:reply.take_over")
        deaths = reply.deaths + await self._has_died_writing(reply)
        if deaths > MOST_DEATHS or reply.control_status == "stopped":
            await self._give_up(reply)
            return None
        due = self._leases.next_due()
        fields = {"fence": reply.fence + 1, "deaths": deaths, "worker_id": self._worker_id, "due_at": due}
        with contextlib.suppress(Stale):
            await self._tables.commit(patch(REPLIES, reply, when(status="running", fence=reply.fence), **fields))
            hit("after:reply.take_over")
            self.expect(structs.replace(reply, **fields))
            return WriteReply(reply_id=reply.reply_id)
        return None

    async def _has_died_writing(self, reply: Reply) -> bool:
        """Whether it has a writer that is gone. One in whose hands it only waited does not count, nor a job that this process lost."""
        if reply.worker_id in (None, self._worker_id):
            return False
        return rules.has_begun([told.event for told in await self._stream.read(rules.topic(reply.reply_id))])

    async def _give_up(self, reply: Reply) -> None:
        lease = Lease(reply, self._writing(reply.reply_id), replays=True)
        await _replay(lease)
        status: ReplyStatus = "cancelled" if reply.control_status == "stopped" else "interrupted"
        await self._completion.finish(reply, lease.writing, status, None if status == "cancelled" else RESTARTED)


async def _replay(lease: Lease) -> None:
    """The hand knows what was told before it. What that cost is unknown, unless the reply was handed back before it began."""
    if lease.replays:
        await lease.writing.replay()
        lease.writing.usage_unknown = lease.writing.has_begun or lease.reply.deaths > 0
        lease.replays = False
