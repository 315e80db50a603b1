"""Replies while they are written: by the process that was asked, emitted event by event, kept once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial

import structlog

from nexus.domain.agents.model import Agent
from nexus.domain.agents.service import Agents
from nexus.domain.core.errors import Conflict, NexusError, Stale, Unavailable
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.streams import Batch
from nexus.domain.ports.database import Tables, Window, retry_stale
from nexus.domain.ports.heartbeat import Heartbeat
from nexus.domain.ports.models import ChatMessage
from nexus.domain.ports.tracing import open_span
from nexus.domain.runtime.journal import Journals
from nexus.domain.runtime.service import Runtime
from nexus.domain.runtime.steps import OutcomeUnknown
from nexus.domain.sessions import rules
from nexus.domain.sessions.completion import ReplyCompletion, make_owner_principal, run_despite_cancel
from nexus.domain.sessions.model import (
    Message,
    Part,
    Reply,
    ReplyReset,
    ReplyStarted,
    ReplyStatus,
    ReplyWaiting,
    Session,
    join_text_parts,
)
from nexus.domain.sessions.reply_stream import ReplyStream
from nexus.domain.sessions.tables import MESSAGES, REPLY_LEASES
from nexus.domain.tasks.execution import Control, Executions, LeaseLost, LeaseTimes

MOST_DEATHS = 1
HISTORY = 60
RESTARTED = "The server died twice while it wrote."
TAKEN_OVER = "The server was restarted while it wrote: the answer begins anew."

logger = structlog.get_logger()


def make_reply_executions(
    *, tables: Tables, clock: Clock, heartbeat: Heartbeat, times: LeaseTimes
) -> Executions[Reply]:
    return Executions(REPLY_LEASES, tables=tables, clock=clock, heartbeat=heartbeat, times=times)


class OwnedReply:
    """A reply that this process has, from when its job is offered. `task`: that of the job, once it has begun. `replays`: it may have
    emitted things that its stream does not know. `was_held`: by a writer that is gone."""

    __slots__ = ("replays", "reply", "task", "was_held", "writing")

    def __init__(self, reply: Reply, writing: ReplyStream, *, replays: bool, was_held: bool = False) -> None:
        self.reply, self.writing, self.replays, self.was_held = reply, writing, replays, was_held
        self.task: asyncio.Task[object] | None = None

    async def restore_from_log(self) -> None:
        """What that cost is unknown, unless it was released before it began."""
        if self.replays:
            await self.writing.restore_from_log(self.reply.fence, was_held=self.was_held)
            self.writing.usage_unknown = self.writing.has_begun or self.reply.deaths > 0
            self.replays = False


class Replies:
    def __init__(
        self,
        *,
        tables: Tables,
        agents: Agents,
        runtime: Runtime,
        completion: ReplyCompletion,
        journals: Journals,
        executions: Executions[Reply],
        worker_id: str,
        clock: Clock,
    ) -> None:
        self._tables, self._agents, self._runtime = tables, agents, runtime
        self._completion, self._stream = completion, completion.stream
        self._journals, self._worker_id, self._clock = journals, worker_id, clock
        self.executions = executions
        self._owned = dict[str, OwnedReply]()
        self._stopping = set[asyncio.Future[bool]]()

    def make_reply(self, session: Session, agent: Agent, reply_id: str, asked: str, said: Sequence[Part]) -> Reply:
        """The row of a reply that this process is going to write: the answer to what was `said` in the message `asked`."""
        reply = Reply(
            reply_id=reply_id,
            session_id=session.session_id,
            agent_id=agent.agent_id,
            tenant_id=session.tenant_id,
            user_id=session.user_id,
            asked=asked,
            input=tuple(said),
            created_at=format_instant(self._clock()),
        )
        return self.executions.make_scheduled_row(reply, worker_id=self._worker_id)

    async def stream_reply_events(self, reply: Reply, after: int) -> AsyncIterator[Batch] | None:
        """Everything behind a position, then live; None when the reply is over and was read to its end."""
        topic = rules.make_reply_topic(reply.reply_id)
        if reply.status != "running":
            end = await self._stream.find_end_position(topic)
            if not end or (reply.dispatch and reply.worker_id != self._worker_id):
                await self._completion.repair_reply_log(reply)
            elif after and after >= end:
                return None
        return self._stream.follow_batches(topic, after)

    # --- what this process has

    def find_local_reply(self, reply_id: str) -> Reply | None:
        """A reply that this process writes or is going to write, as it was when it got it."""
        owned = self._owned.get(reply_id)
        return owned.reply if owned and not owned.writing.is_ending else None

    def register_local_reply(self, reply: Reply, *, again: bool = False) -> ReplyStream | None:
        """Its job is about to be offered: from now on, this process has the reply. None when it had it already.
        `again`: an earlier job may have emitted things."""
        if reply.reply_id in self._owned:
            return None
        return self._add_owned_reply(reply, replays=again or reply.fence > 1).writing

    def _add_owned_reply(self, reply: Reply, *, replays: bool) -> OwnedReply:
        owned = OwnedReply(reply, self._make_reply_stream(reply), replays=replays)
        self._owned[reply.reply_id] = owned
        self.executions.start_lease_renewal(reply, partial(self._handle_control_change, owned))
        return owned

    def _remove_owned_reply(self, owned: OwnedReply) -> None:
        if self._owned.get(owned.reply.reply_id) is owned:
            del self._owned[owned.reply.reply_id]
        self.executions.stop_lease_renewal(owned.reply)

    def _remove_unstarted_reply(self, reply_id: str) -> OwnedReply | None:
        """No more of this process, where its job has not begun: now it does not any more."""
        owned = self._owned.get(reply_id)
        if owned is None or owned.task:
            return None
        self._remove_owned_reply(owned)
        return owned

    def _handle_control_change(self, owned: OwnedReply, control: Control | None) -> None:
        """What is wanted from now on, also where that was said to another process; None when the reply is another's."""
        if control == "running" or owned.writing.is_ending:
            return
        if owned.task:
            owned.task.cancel()
            return
        stopping = asyncio.ensure_future(self.stop_queued_reply(owned.reply.reply_id))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    def _make_reply_stream(self, reply: Reply) -> ReplyStream:
        return ReplyStream(self._stream, rules.make_reply_topic(reply.reply_id))

    async def find_leased_reply(self, reply: Reply) -> Reply | None:
        """The reply as it is now; None when it is over, or not this process' to write."""
        now = await self.executions.find_row(reply.reply_id)
        return now if now and now.status == "running" and now.worker_id == self._worker_id else None

    async def _find_reply_at_fence(self, reply: Reply) -> Reply | None:
        """As `find_owned`, and still under the fence of this one."""
        now = await self.find_leased_reply(reply)
        return now if now and now.fence == reply.fence else None

    async def _find_unclaimed_reply(self, reply_id: str) -> Reply | None:
        """One that nobody has."""
        reply = None if reply_id in self._owned else await self.executions.find_row(reply_id)
        return reply if reply and self.executions.is_row_waiting(reply) else None

    async def emit_queue_position(self, reply: Reply, before: int) -> None:
        """Tells that so many replies are before this one, which has emitted nothing yet."""
        owned = self._owned.get(reply.reply_id)
        if owned and not owned.task:
            owned.writing.session = owned.writing.agent = owned.writing.history = None
            await owned.writing.emit_event(ReplyWaiting(reply.session_id, reply.reply_id, "queue", before))

    async def request_reply_stop(self, reply: Reply) -> Reply:
        """As it is when that is wanted of it, wherever it is written. Stale when it has changed meanwhile."""
        if reply.status != "running" or reply.control_status == "stopped":
            return reply
        request = self.executions.make_control_write(reply, "stopped")
        await self.executions.commit_writes(request)
        wanted = self.executions.apply_write_to_row(reply, request)
        self.executions.track_control_request(wanted)
        return wanted

    async def stop_queued_reply(self, reply_id: str) -> bool:
        """Ends a reply that is to be stopped, where its job has not begun and does not any more. False where that has, and where the
        reply is another's by now."""
        owned = self._remove_unstarted_reply(reply_id)
        reply = await (self._find_reply_at_fence(owned.reply) if owned else self._find_unclaimed_reply(reply_id))
        if reply is None:
            return False
        await self._end_unfinished_reply(reply, owned)
        return True

    async def release_reply(self, reply_id: str) -> None:
        """This process ends before the reply's job could begin: the next one begins it, and nothing was lost."""
        if owned := self._remove_unstarted_reply(reply_id):
            await self._release_reply_lease(owned)

    @retry_stale
    async def _release_reply_lease(self, owned: OwnedReply) -> None:
        """Whoever comes next goes on with it; one that its user stopped is kept as far as it is written."""
        if (reply := await self._find_reply_at_fence(owned.reply)) is None:
            return
        if reply.control_status == "stopped":
            await self._end_unfinished_reply(reply, owned)
        else:
            await self.executions.commit_writes(self.executions.make_release_write(reply))

    # --- the job

    async def write_reply(self, reply_id: str) -> None:
        """The agent's answer becomes events as it comes; the text is kept once, then the last event says so."""
        if (owned := self._owned.get(reply_id) or await self._claim_reply(reply_id)) is None or owned.task:
            return
        owned.task = asyncio.current_task()
        try:
            is_fresh = owned.writing.agent is not None
            if reply := owned.reply if is_fresh else await self._find_reply_at_fence(owned.reply):
                with open_span("sessions.write_reply", "consumer", traceparent=reply.traceparent) as span:
                    span.describe({"nexus.agent_id": reply.agent_id, "nexus.reply_id": reply.reply_id})
                    await self._generate_and_finish(reply, owned)
        except asyncio.CancelledError:
            await run_despite_cancel(self._release_reply_lease(owned))
            raise
        finally:
            self._remove_owned_reply(owned)

    async def _claim_reply(self, reply_id: str) -> OwnedReply | None:
        """A reply that nobody has; one that is to be stopped ends instead."""
        if (reply := await self._find_unclaimed_reply(reply_id)) is None:
            return None
        if reply.control_status == "stopped":
            await self._end_unfinished_reply(reply)
            return None
        with contextlib.suppress(LeaseLost, Stale):
            claim = self.executions.make_claim_write(reply, self._worker_id)
            await self.executions.commit_writes(claim)
            return self._add_owned_reply(self.executions.apply_write_to_row(reply, claim), replays=True)
        return None

    async def _generate_and_finish(self, reply: Reply, owned: OwnedReply) -> None:
        writing, finish = owned.writing, self._completion.end_reply
        try:
            is_new = await self._emit_reply_start(reply, owned)
            await self._stream_agent_answer(reply, writing, is_new=is_new)
        except OutcomeUnknown as unknown:
            await finish(reply, writing, "interrupted", f"{unknown.detail} You decide whether to ask again.")
        except Conflict as error:
            if await self._find_reply_at_fence(reply) is None:
                logger.info("reply.lost", reply_id=reply.reply_id)
                return
            await finish(reply, writing, "failed", error.detail)
        except NexusError as error:
            await finish(reply, writing, "failed", error.detail)
        except TimeoutError:
            await finish(reply, writing, "failed", "The answer took longer than the agent's limit.")
        except Exception:
            logger.exception("reply.crashed", reply_id=reply.reply_id)
            await finish(reply, writing, "failed", "Something went wrong inside the server.")
        else:
            await finish(reply, writing, "completed")

    async def _emit_reply_start(self, reply: Reply, owned: OwnedReply) -> bool:
        """Emits that it has started, and answers True; or, after a take-over, that everything emitted so far is void."""
        hit_failpoint("before:reply.start")
        await owned.writing.await_last_append()
        await owned.restore_from_log()
        if reply.control_status == "stopped":
            raise asyncio.CancelledError
        is_new = reply.fence == 1 and not owned.writing.has_begun
        started = ReplyStarted(reply.session_id, reply.reply_id)
        await owned.writing.emit_answer_start(started, again=ReplyReset(TAKEN_OVER), now=self._clock())
        hit_failpoint("after:reply.start")
        return is_new

    async def _stream_agent_answer(self, reply: Reply, writing: ReplyStream, *, is_new: bool) -> None:
        agent = writing.agent = writing.agent or await self._agents.get(make_owner_principal(reply), reply.agent_id)
        spec, history = await self._agents.load_agent_spec(agent), await self._read_history(reply, writing)
        guard = self.executions.make_guard_write(reply)
        journal = self._journals(scope=rules.make_reply_topic(reply.reply_id), guard=lambda: (guard,), is_new=is_new)
        async with (
            asyncio.timeout(spec.limits.seconds),
            aclosing(self._runtime.stream_answer(spec, history, journal=journal)) as answer,
        ):
            async for item in answer:
                hit_failpoint("before:reply.delta")
                await writing.emit_answer_item(item)
                hit_failpoint("after:reply.delta")

    async def _read_history(self, reply: Reply, writing: ReplyStream) -> list[ChatMessage]:
        """What was said, up to the input that is answered."""
        if reply.session_id is None or (writing.session and writing.session.message_count == 1):
            return [ChatMessage("user", join_text_parts(reply.input, "\n"))]
        history = writing.history or self.read_messages(reply.session_id, reply.asked or "")
        return rules.select_context_messages(await history)

    async def read_messages(self, session_id: str, until: str, *after: Message) -> list[Message]:
        """The newest ones up to that message, oldest first, and these behind them."""
        window = Window(limit=HISTORY - len(after), newest_first=True, until=until)
        page = await self._tables.read_page(MESSAGES, session_id, window=window)
        return [*page.items[::-1], *after]

    # --- what others left

    async def take_over_reply(self, seen: Reply) -> bool:
        """Goes on in place of a process that is gone, and answers whether the job is to be run here. After its second death the reply is
        interrupted; of one that is over, the log is completed."""
        reply = await self.executions.get_row(seen.reply_id)
        if reply.fence != seen.fence or reply.reply_id in self._owned:
            return False
        if reply.status != "running":
            await self._completion.repair_reply_log(reply)
            return False
        hit_failpoint("before:reply.take_over")
        deaths = reply.deaths + await self._has_writer_died(reply)
        if deaths > MOST_DEATHS or reply.control_status == "stopped":
            await self._end_unfinished_reply(reply)
            return False
        with contextlib.suppress(LeaseLost, Stale):
            taken = self.executions.make_takeover_write(reply, self._worker_id, deaths=deaths)
            await self.executions.commit_writes(taken)
            hit_failpoint("after:reply.take_over")
            owned = self._add_owned_reply(self.executions.apply_write_to_row(reply, taken), replays=True)
            owned.was_held = reply.worker_id not in (None, self._worker_id)
            return True
        return False

    async def _has_writer_died(self, reply: Reply) -> bool:
        """Whether it has a writer that is gone. One with whom it only waited does not count, nor a job that this process lost."""
        if reply.worker_id in (None, self._worker_id):
            return False
        try:
            return rules.has_reply_started(
                [one.event for one in await self._stream.read_entries(rules.make_reply_topic(reply.reply_id))]
            )
        except Unavailable:  # nobody can tell
            return True

    async def _end_unfinished_reply(self, reply: Reply, owned: OwnedReply | None = None) -> None:
        """With what was emitted of it so far."""
        owned = owned or OwnedReply(reply, self._make_reply_stream(reply), replays=True)
        await owned.restore_from_log()
        status: ReplyStatus = "cancelled" if reply.control_status == "stopped" else "interrupted"
        await self._completion.end_reply(reply, owned.writing, status, None if status == "cancelled" else RESTARTED)

    async def delete_reply_logs(self, replies: Sequence[Reply]) -> None:
        """Removes what lies beside their rows: the journals and the logs of replies that are over."""
        topics = [rules.make_reply_topic(reply.reply_id) for reply in replies]
        for topic in topics:
            await self._journals(scope=topic, guard=lambda: ()).delete_steps_since(0)
        await self._stream.delete_topics(topics)
