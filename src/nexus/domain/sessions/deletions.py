"""Sessions that are deleted: gone for their users at once, and with all that was said soon after."""

import contextlib

from nexus.domain.agents.invocations import Invocations
from nexus.domain.audit.service import Audit
from nexus.domain.core.errors import NotFound
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, retry_stale
from nexus.domain.ports.rows import delete, patch, when
from nexus.domain.sessions.replies import Replies
from nexus.domain.sessions.service import Sessions
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.service import Tasks


class SessionDeletions:
    def __init__(
        self,
        *,
        tables: Tables,
        sessions: Sessions,
        replies: Replies,
        invocations: Invocations,
        tasks: Tasks,
        tallies: Tallies,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._tables, self._sessions, self._replies, self._invocations = tables, sessions, replies, invocations
        self._tasks, self._tallies, self._audit, self._clock = tasks, tallies, audit, clock

    @retry_stale
    async def soft_delete_session(self, caller: Principal, session_id: str) -> None:
        """Gone for its user at once, with all that was said soon after; a reply that is being written is cancelled."""
        session = await self._sessions.get(caller, session_id)
        if session.active_reply:
            await self._sessions.cancel(caller, session_id, session.active_reply)
        session = await self._sessions.get(caller, session_id)
        now = format_instant(self._clock())
        task = self._tasks.make_deletion_write(caller, {"session_id": session_id})
        await self._tables.for_caller(caller).commit(
            patch(SESSIONS, session, deleted_at=now, status="closed"),
            task,
            *self._tallies.make_tally_writes(session.tenant_id, sessions=-1),
        )

    async def delete_agent_sessions(self, agent_id: str) -> bool:
        """Removes all sessions of an agent that is gone. False while a reply in one is being ended: ask again."""
        whole = True
        async for session in self._tables.each(SESSIONS, agent_id, index="AgentIndex"):
            whole &= await self.delete_session_data(session.session_id)
        return whole

    @retry_stale
    async def delete_session_data(self, session_id: str) -> bool:
        """Removes a session and all that was said in it. False while a reply is being ended."""
        session = await self._tables.find(SESSIONS, session_id)
        if session is None:
            return True
        if session.active_reply:
            await self._sessions.stop_active_reply(session)
            return False
        owner = Principal(session.tenant_id, session.user_id)
        if not session.deleted_at:  # counted once, however many delete it
            gone = patch(
                SESSIONS, session, when(deleted_at=None), deleted_at=format_instant(self._clock()), status="closed"
            )
            noted = self._audit.make_audit_write(owner, "session.deleted", session_id)
            with contextlib.suppress(NotFound):  # nor once it is gone
                await self._tables.commit(gone, noted, *self._tallies.make_tally_writes(session.tenant_id, sessions=-1))
        replies = [reply async for reply in self._tables.each(REPLIES, session_id, index="SessionIndex")]
        if any(reply.dispatch for reply in replies):  # its last event is on its way
            return False
        await self._replies.delete_reply_logs(replies)
        await self._tables.clear(REPLIES, session_id, index="SessionIndex")
        await self._tables.clear(MESSAGES, session_id)
        await self._invocations.delete_invocations(session_id=session_id)
        await self._tables.commit(
            delete(SESSIONS, session), self._audit.make_audit_write(owner, "session.purged", session_id)
        )
        return True
