"""Sessions as users see them: what is said, and how a reply is asked for, followed and stopped."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec import structs

from nexus.domain.agents.model import Agent, NotDeployed
from nexus.domain.agents.service import Agents
from nexus.domain.core.errors import InvalidInput, NotFound, Stale
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.ids import NewId
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.core.texts import check_message_text, check_name
from nexus.domain.core.values import JSON
from nexus.domain.identity import policies
from nexus.domain.ports.database import Page, Tables, Window, retry_stale
from nexus.domain.ports.log import Batch
from nexus.domain.ports.rows import Place, Write, delete, insert, patch, when
from nexus.domain.requests.model import Once
from nexus.domain.requests.service import KeyedRequest, Requests
from nexus.domain.sessions import rules
from nexus.domain.sessions.admission import AdmissionRequest, ReplyAdmission
from nexus.domain.sessions.model import (
    Message,
    NotLast,
    Part,
    Reply,
    ReplyRunning,
    Session,
    SessionClosed,
    TextPart,
    join_text_parts,
)
from nexus.domain.sessions.replies import Replies
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.tallies.service import Tallies

KNOWN_SESSIONS = 10_000


class Sessions:
    def __init__(
        self,
        *,
        tables: Tables,
        agents: Agents,
        replies: Replies,
        requests: Requests,
        tallies: Tallies,
        admission: ReplyAdmission,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._tables, self._agents, self._replies, self._requests = tables, agents, replies, requests
        self._tallies, self._admission, self._clock, self._new_id = tallies, admission, clock, new_id
        self._agent_ids = dict[str, str]()

    async def create_session(
        self,
        caller: Principal,
        agent_id: str,
        *,
        display_name: str = "",
        metadata: JSON | None = None,
        once: Once | None = None,
    ) -> Session:
        rules.check_session_metadata(metadata)
        if display_name:
            check_name(display_name, "/display_name")
        async with self._requests.begin_idempotent_request(caller, once, Session) as request:
            if request.answer is None:
                agent, now = await self._agents.get(caller, agent_id), format_instant(self._clock())
                session = Session(
                    session_id=self._new_id("ses"),
                    agent_id=agent.agent_id,
                    tenant_id=caller.tenant_id,
                    user_id=caller.user_id,
                    display_name=display_name,
                    metadata=metadata,
                    created_at=now,
                    last_active_at=now,
                )
                counts = self._tallies.make_tally_writes(caller.tenant_id, sessions=1)
                await self._tables.for_caller(caller).commit(
                    insert(SESSIONS, session), *counts, *request.make_answer_writes(session)
                )
                request.answer = session
                self._remember_agent(session)
        return request.result

    async def get(self, caller: Principal, session_id: str) -> Session:
        session: Session = (await self._get_session_and_agent(caller, session_id))[0]
        return session

    async def _get_session_and_agent(self, caller: Principal, session_id: str, *beside: Place) -> list[Any]:
        """The session, its agent, and what is kept in the places beside: in one round trip, where the session was seen here before."""
        tables, agent_id = self._tables.for_caller(caller), self._agent_ids.get(session_id)
        known = [self._agents.make_agent_row_key(agent_id)] if agent_id else []
        session, *found = await tables.find_rows((SESSIONS, (session_id,)), *beside, *known)
        if session is None or session.deleted_at:
            raise NotFound("There is no such session.")
        agent = found.pop() if known else (await tables.find_rows(self._agents.make_agent_row_key(session.agent_id)))[0]
        if agent is None or agent.deleted_at:
            raise NotFound("There is no such session.")
        self._remember_agent(session)
        return [session, agent, *found]

    def _remember_agent(self, session: Session) -> None:
        """A session keeps its agent: both are read at once from now on."""
        self._agent_ids[session.session_id] = session.agent_id
        if len(self._agent_ids) > KNOWN_SESSIONS:
            del self._agent_ids[next(iter(self._agent_ids))]

    async def list_sessions(self, caller: Principal, window: Window, *, agent_id: str | None = None) -> Page[Session]:
        """The caller's sessions, by last activity."""
        tables = self._tables.for_caller(caller)
        if agent_id:
            await self._agents.get(caller, agent_id)
            page = await tables.read_page(SESSIONS, caller.user_id, agent_id, index="UserAgentIndex", window=window)
        else:
            page = await tables.read_page(SESSIONS, caller.user_id, index="UserIndex", window=window)
        return Page([session for session in page.items if not session.deleted_at], page.cursor)

    async def rename(self, caller: Principal, session_id: str, display_name: str) -> Session:
        check_name(display_name, "/display_name")
        await self.get(caller, session_id)
        return await self._tables.for_caller(caller).edit_row(
            SESSIONS, session_id, change=lambda session: structs.replace(session, display_name=display_name)
        )

    async def list_messages(self, caller: Principal, session_id: str, window: Window) -> Page[Message]:
        await self.get(caller, session_id)
        return await self._tables.for_caller(caller).read_page(MESSAGES, session_id, window=window)

    async def get_reply(self, caller: Principal, session_id: str | None, reply_id: str) -> Reply:
        """A reply of a session, or one without."""
        if session_id is None:
            reply = await self._tables.for_caller(caller).find(REPLIES, reply_id)
        else:
            *_, reply = await self._get_session_and_agent(caller, session_id, (REPLIES, (reply_id,)))
        if reply is None or reply.session_id != session_id:
            raise NotFound("There is no such reply.")
        return reply

    async def send(
        self, caller: Principal, session_id: str, content: str | Sequence[Part], *, once: Once | None = None
    ) -> Reply:
        """Keeps what the user said and asks for the reply; both, or neither. ReplyRunning while another is written."""
        parts, pointer = ((TextPart(content),), "/content") if isinstance(content, str) else (tuple(content), "/parts")
        check_message_text(join_text_parts(parts), pointer)
        with self._admission.track_admission_request(caller.tenant_id) as admission:
            async with self._requests.begin_idempotent_request(caller, once, Reply, look_first=False) as request:
                if request.answer is None:
                    request.answer = await self._commit_user_message(caller, session_id, parts, request, admission)
            await admission.enqueue_reply(request.result)
        return request.result

    @retry_stale
    async def _commit_user_message(
        self,
        caller: Principal,
        session_id: str,
        parts: tuple[Part, ...],
        request: KeyedRequest[Reply],
        admission: AdmissionRequest,
    ) -> Reply:
        session, agent = await self._get_idle_session(caller, session_id, admission)
        message_id, reply_id = rules.make_message_ids(session.last_message_id, self._new_id)
        said = Message(
            session_id=session_id,
            message_id=message_id,
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            role="user",
            parts=parts,
            created_at=format_instant(self._clock()),
        )
        reply = self._replies.make_reply(session, agent, reply_id, message_id, parts)
        writes = [
            insert(MESSAGES, said),
            self._make_session_busy_write(
                session, reply, count := session.message_count + 1, rules.make_session_name(said.content)
            ),
            *self._tallies.make_tally_writes(caller.tenant_id, messages=1),
        ]
        hit_failpoint("before:reply.send")
        admission.history = self._begin_reading_history(session, said)
        await self._tables.for_caller(caller).commit(
            *writes, insert(REPLIES, reply), *request.make_answer_writes(reply)
        )
        admission.session, admission.agent = structs.replace(session, message_count=count), agent
        hit_failpoint("after:reply.send")
        return reply

    def _begin_reading_history(self, session: Session, said: Message) -> "asyncio.Future[list[Message]] | None":
        """While the message is being committed: one wait less before the model is asked. None where there is nothing before it."""
        if session.last_message_id is None:
            return None
        reading = self._replies.read_messages(session.session_id, session.last_message_id, said)
        history = asyncio.ensure_future(reading)
        history.add_done_callback(_forget_exception)  # where the commit fails, nobody waits for it
        return history

    async def regenerate(
        self, caller: Principal, session_id: str, message_id: str, *, once: Once | None = None
    ) -> Reply:
        """Writes the last answer again; the old one is gone once the new one is asked for. NotLast for any other message."""

        with self._admission.track_admission_request(caller.tenant_id) as admission:
            async with self._requests.begin_idempotent_request(caller, once, Reply, look_first=False) as request:
                if request.answer is None:
                    request.answer = await self._replace_last_reply(caller, session_id, message_id, request, admission)
            await admission.enqueue_reply(request.result)
        return request.result

    @retry_stale
    async def _replace_last_reply(
        self,
        caller: Principal,
        session_id: str,
        message_id: str,
        request: KeyedRequest[Reply],
        admission: AdmissionRequest,
    ) -> Reply:
        session, agent = await self._get_idle_session(caller, session_id, admission)
        old = await self._tables.for_caller(caller).get(MESSAGES, session_id, message_id)
        if old.role != "assistant" or session.last_message_id != message_id:
            raise NotLast("Only the last answer of a session can be written again.")
        before = await self._tables.for_caller(caller).get(REPLIES, message_id)
        _, reply_id = rules.make_message_ids(session.last_message_id, self._new_id)
        reply = self._replies.make_reply(session, agent, reply_id, before.asked or "", before.input)
        engaged = self._make_session_busy_write(session, reply, count := session.message_count - 1)
        await self._tables.for_caller(caller).commit(
            delete(MESSAGES, old), engaged, insert(REPLIES, reply), *request.make_answer_writes(reply)
        )
        admission.session, admission.agent = structs.replace(session, message_count=count), agent
        return reply

    async def _get_idle_session(
        self, caller: Principal, session_id: str, admission: AdmissionRequest
    ) -> tuple[Session, Agent]:
        session, agent = await self._get_session_and_agent(caller, session_id)
        if session.status == "closed":
            raise SessionClosed("The session is closed.")
        if session.active_reply:
            raise ReplyRunning("A reply is being written.", reply_id=session.active_reply)
        if not policies.can_view(caller, agent):
            raise NotFound("There is no such agent.")
        if not agent.active_version:
            raise NotDeployed(f"{agent.agent_name} has no deployed version.")
        admission.reserve_reply_slot()
        return session, agent

    def _make_session_busy_write(self, session: Session, reply: Reply, message_count: int, name: str = "") -> Write:
        return patch(
            SESSIONS,
            session,
            when(status="active", active_reply=None, last_message_id=session.last_message_id),
            active_reply=reply.reply_id,
            last_message_id=reply.reply_id,
            last_active_at=reply.created_at,
            message_count=message_count,
            display_name=session.display_name or name,
        )

    async def stream_reply_events(
        self, caller: Principal, session_id: str | None, reply_id: str, after: int = 0
    ) -> AsyncIterator[Batch] | None:
        """The events of a reply behind a position; None when it is over and all of it was read."""
        if after < 0:
            raise InvalidInput("A position is not negative.")
        reply = self._replies.find_local_reply(reply_id)
        if reply is None or reply.session_id != session_id or not policies.is_owner(caller, reply):
            reply = await self.get_reply(caller, session_id, reply_id)
        return await self._replies.stream_reply_events(reply, after)

    async def cancel(self, caller: Principal, session_id: str | None, reply_id: str) -> Reply:
        """Stops a reply; quiet when it is over. What was written so far is kept."""
        reply = await self._request_reply_stop(caller, session_id, reply_id)
        if reply.status == "running" and await self._admission.stop_queued_reply(reply):
            return await self.get_reply(caller, session_id, reply_id)
        return reply

    @retry_stale
    async def _request_reply_stop(self, caller: Principal, session_id: str | None, reply_id: str) -> Reply:
        return await self._replies.request_reply_stop(await self.get_reply(caller, session_id, reply_id))

    async def stop_active_reply(self, session: Session) -> None:
        """Stops the reply of a session that is going."""
        reply = await self._tables.find(REPLIES, session.active_reply or "")
        with contextlib.suppress(Stale):  # the next look does it
            if reply and (reply := await self._replies.request_reply_stop(reply)).control_status == "stopped":
                await self._admission.stop_queued_reply(reply)


def _forget_exception(reading: "asyncio.Future[list[Message]]") -> None:
    if not reading.cancelled():
        reading.exception()
