"""How a reply ends: what it came to is kept in one commit, its last event is emitted, and it leaves the sweeper, in this order."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, get_args

import structlog
from msgspec import structs

from nexus.domain.agents.invocations import Called, Invocations
from nexus.domain.agents.service import Agents
from nexus.domain.core.errors import Conflict, Stale, Unavailable
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, retry_stale
from nexus.domain.ports.log import Stream
from nexus.domain.ports.rows import Write, insert, patch, when
from nexus.domain.sessions import rules
from nexus.domain.sessions.model import (
    Ending,
    Message,
    Reply,
    ReplyEvent,
    ReplyStatus,
    Session,
    ToolCallPart,
    join_text_parts,
)
from nexus.domain.sessions.reply_stream import ReplyStream
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.tallies.service import Tallies

ENDS = get_args(Ending)

REPLACED = 1_000_000_000
"""Where a log begins that takes the place of a lost one: beyond any position that a reader of the lost one may have seen."""

logger = structlog.get_logger()


class ReplyCompletion:
    def __init__(
        self,
        *,
        tables: Tables,
        agents: Agents,
        invocations: Invocations,
        tallies: Tallies,
        stream: Stream[ReplyEvent],
        clock: Clock,
    ) -> None:
        self._tables, self._agents, self._invocations, self._tallies = tables, agents, invocations, tallies
        self.stream, self._clock = stream, clock

    async def end_reply(
        self, reply: Reply, writing: ReplyStream, status: ReplyStatus, error: str | None = None
    ) -> None:
        """All of it, or what a crash leaves of it: a cancel in the middle is raised when it is done."""
        await run_despite_cancel(self._commit_and_emit_end(reply, writing, status, error))

    async def _commit_and_emit_end(
        self, reply: Reply, writing: ReplyStream, status: ReplyStatus, error: str | None
    ) -> None:
        writing.is_ending = True
        with contextlib.suppress(Conflict):  # it is raised again before the last event
            await writing.append_pending_events()
        hit_failpoint("before:reply.keep")
        try:
            ended = await self._commit_final_reply(reply, writing, status, error)
        except Stale:
            logger.info("reply.ended_elsewhere", reply_id=reply.reply_id)
            return
        hit_failpoint("after:reply.keep")
        hit_failpoint("before:reply.end")
        try:
            await writing.end_stream(rules.make_end_event(ended))
        except Unavailable as error:  # the row says that it is over: the sweeper completes the log, or who follows it
            logger.warning("reply.end_not_logged", reply_id=reply.reply_id, reason=error.detail)
            return
        hit_failpoint("after:reply.end")
        hit_failpoint("before:reply.leave")
        await self._clear_dispatch_fields(ended)
        hit_failpoint("after:reply.leave")

    async def repair_reply_log(self, reply: Reply) -> None:
        """Emits the last event of a reply whose row says that it is over, if the log lacks it."""
        topic = rules.make_reply_topic(reply.reply_id)
        found = await self.stream.read_entries(topic)
        if not (found and isinstance(found[-1].event, ENDS)):
            writing = ReplyStream(self.stream, topic, at=found[-1].position if found else REPLACED)
            with contextlib.suppress(Conflict):  # another reader had it emitted meanwhile
                for event in rules.make_lost_log_events(reply, [one.event for one in found]):
                    await writing.emit_event(event)
                await writing.end_stream(rules.make_end_event(reply))
        await self._clear_dispatch_fields(reply)

    async def _clear_dispatch_fields(self, ended: Reply) -> None:
        await self._tables.commit(patch(REPLIES, ended, when(status=ended.status), dispatch=None, due_at=None))

    async def _commit_final_reply(
        self, reply: Reply, writing: ReplyStream, status: ReplyStatus, error: str | None
    ) -> Reply:
        """The reply as it ended. Stale when it is no longer this fence's to end."""
        fields: dict[str, object] = {
            "status": status,
            "output": rules.truncate_output_parts(writing.output, beside=reply.input),
            "error_message": error,
            "input_tokens": writing.input_tokens,
            "output_tokens": writing.output_tokens,
            "usage_unknown": writing.usage_unknown,
            "completed_at": format_instant(self._clock()),
        }
        ended = structs.replace(reply, revision=reply.revision + 1, **fields)
        over = patch(REPLIES, reply, when(status="running", fence=reply.fence), **fields)
        writes = [over, *await self._make_usage_writes(ended, writing)]
        if writing.session:
            with contextlib.suppress(Stale):
                await self._tables.commit(*writes, *self._make_answer_writes(ended, writing.session))
                return ended
        await self._commit_reply_end(ended, *writes)
        return ended

    @retry_stale
    async def _commit_reply_end(self, ended: Reply, *writes: Write) -> None:
        if ended.session_id is not None:
            session = await self._tables.get(SESSIONS, ended.session_id)
            writes += tuple(self._make_answer_writes(ended, session))
        await self._tables.commit(*writes)

    def _make_answer_writes(self, ended: Reply, session: Session) -> list[Write]:
        """The answer as a message of its session, which is free for the next one."""
        count, now = session.message_count, ended.completed_at or ""
        message = Message(
            session_id=session.session_id,
            message_id=ended.reply_id,
            tenant_id=ended.tenant_id,
            user_id=ended.user_id,
            role="assistant",
            parts=ended.output,
            created_at=now,
            metadata=None if ended.status == "completed" else {"status": ended.status},
        )
        own = when(active_reply=ended.reply_id, message_count=count)
        free = patch(SESSIONS, session, own, active_reply=None, message_count=count + 1, last_active_at=now)
        return [insert(MESSAGES, message), free]

    async def _make_usage_writes(self, ended: Reply, writing: ReplyStream) -> list[Write]:
        """One call of the agent; of a reply that never began, its message alone."""
        messages = int(ended.session_id is not None)
        if not writing.has_begun:
            return self._tallies.make_tally_writes(ended.tenant_id, messages=messages) if messages else []
        failed = ended.status not in ("completed", "cancelled")
        called = Called(
            input_text=join_text_parts(ended.input, "\n"),
            output_text=ended.content,
            duration_ms=0 if writing.began is None else max(0, round((self._clock() - writing.began) * 1000)),
            input_tokens=ended.input_tokens,
            output_tokens=ended.output_tokens,
            tools=[part.name for part in ended.output if isinstance(part, ToolCallPart)],
            session_id=ended.session_id,
            error=ended.error_message if failed else None,
            messages=messages,
            metadata={"reply_id": ended.reply_id, "status": ended.status, "stop": writing.stop},
        )
        agent = writing.agent or await self._agents.read(ended.agent_id)
        return self._invocations.make_invocation_writes(make_owner_principal(ended), agent, called)[1]


async def run_despite_cancel(act: Coroutine[Any, Any, None]) -> None:
    """To its end though who waits for it is cancelled: that is raised afterwards."""
    task, cut = asyncio.ensure_future(act), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cut = error
    if cut is not None:
        raise cut from task.exception()
    task.result()


def make_owner_principal(reply: Reply) -> Principal:
    return Principal(reply.tenant_id, reply.user_id)
