"""What a reply came to, kept once: its row, its message, its session, and the accounting, in one commit."""

from msgspec import structs

from nexus.domain.agents.invocations import Called, Invocations
from nexus.domain.agents.service import Agents
from nexus.domain.core.instants import Clock, instant
from nexus.domain.core.principal import Principal
from nexus.domain.core.texts import within
from nexus.domain.ports.database import Tables, retry_stale
from nexus.domain.ports.rows import Write, insert, patch, when
from nexus.domain.sessions.model import Message, Reply, ReplyStatus
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.sessions.writing import Writing
from nexus.domain.tallies.service import Tallies

KEPT_BYTES = 300_000
"""A row has its bounds; the log has the whole."""


class Keeping:
    def __init__(
        self, *, tables: Tables, agents: Agents, invocations: Invocations, tallies: Tallies, clock: Clock
    ) -> None:
        self._tables, self._agents, self._invocations, self._tallies = tables, agents, invocations, tallies
        self._clock = clock

    async def kept(self, reply: Reply, writing: Writing, status: ReplyStatus, error: str | None) -> Reply:
        """The reply as it ended. Stale when it is no longer this fence's to end."""
        now = instant(self._clock())
        fields: dict[str, object] = {
            "status": status,
            "content": within(writing.text, KEPT_BYTES),
            "error_message": error,
            "input_tokens": writing.input_tokens,
            "output_tokens": writing.output_tokens,
            "usage_unknown": writing.usage_unknown,
            "completed_at": now,
        }
        ended = structs.replace(reply, revision=reply.revision + 1, **fields)
        called = await self._called(ended, writing) if writing.has_begun else None
        over = patch(REPLIES, reply, when(status="running", fence=reply.fence), **fields)
        await self._commit(reply, now, called, over, insert(MESSAGES, _message(ended, now)))
        return ended

    @retry_stale
    async def _commit(self, reply: Reply, now: str, called: Called | None, *writes: Write) -> None:
        await self._tables.commit(*writes, await self._released(reply, now), *await self._accounting(reply, called))

    async def _released(self, reply: Reply, now: str) -> Write:
        """The session, free for the next message."""
        session = await self._tables.get(SESSIONS, reply.session_id)
        count = session.message_count
        ours = when(active_reply=reply.reply_id, message_count=count)
        return patch(SESSIONS, session, ours, active_reply=None, message_count=count + 1, last_active_at=now)

    async def _accounting(self, reply: Reply, called: Called | None) -> list[Write]:
        """One call of the agent; of a reply that never began, its message alone."""
        if called is None:
            return self._tallies.counting(reply.tenant_id, messages=1)
        agent = await self._agents.known(reply.agent_id)
        return self._invocations.recording(owner(reply), agent, called)[1]

    async def _called(self, ended: Reply, writing: Writing) -> Called:
        asked = await self._tables.find(MESSAGES, ended.session_id, ended.asked)
        failed = ended.status not in ("completed", "cancelled")
        return Called(
            input_text=asked.content if asked else "",
            output_text=ended.content,
            duration_ms=0 if writing.began is None else max(0, round((self._clock() - writing.began) * 1000)),
            input_tokens=ended.input_tokens,
            output_tokens=ended.output_tokens,
            tools=writing.tools,
            session_id=ended.session_id,
            error=ended.error_message if failed else None,
            messages=1,
            metadata={"reply_id": ended.reply_id, "status": ended.status, "stop": writing.stop},
        )


def _message(ended: Reply, now: str) -> Message:
    return Message(
        session_id=ended.session_id,
        message_id=ended.reply_id,
        tenant_id=ended.tenant_id,
        user_id=ended.user_id,
        role="assistant",
        content=ended.content,
        created_at=now,
        metadata=None if ended.status == "completed" else {"status": ended.status},
    )


def owner(reply: Reply) -> Principal:
    return Principal(reply.tenant_id, reply.user_id)
