"""Calls of agents outside sessions, and the accounting of every call."""

from collections.abc import Sequence

from msgspec import Struct

from nexus.domain.agents.model import Agent, Invocation
from nexus.domain.agents.service import Agents
from nexus.domain.agents.tables import INVOCATIONS
from nexus.domain.core.errors import NexusError
from nexus.domain.core.ids import NewId
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.core.texts import check_message_text, truncate_to_bytes
from nexus.domain.core.values import JSON
from nexus.domain.identity import policies
from nexus.domain.ports.database import Page, Tables, Window
from nexus.domain.ports.models import ChatMessage
from nexus.domain.ports.rows import Write, insert
from nexus.domain.requests.model import Once
from nexus.domain.requests.service import Requests
from nexus.domain.runtime.service import Runtime
from nexus.domain.tallies.service import Tallies
from nexus.domain.tools.service import Tools

KEPT_BYTES = 120_000


class Called(Struct, frozen=True, kw_only=True):
    """What one call of an agent came to."""

    input_text: str
    output_text: str
    duration_ms: int
    input_tokens: int = 0
    output_tokens: int = 0
    tools: Sequence[str] = ()
    session_id: str | None = None
    error: str | None = None
    messages: int = 0
    metadata: JSON | None = None


class Invocations:
    def __init__(
        self,
        *,
        tables: Tables,
        agents: Agents,
        runtime: Runtime,
        tools: Tools,
        tallies: Tallies,
        requests: Requests,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._tables, self._agents, self._runtime, self._tools = tables, agents, runtime, tools
        self._tallies, self._requests, self._clock, self._new_id = tallies, requests, clock, new_id

    async def list_caller_invocations(self, caller: Principal, agent_id: str, window: Window) -> Page[Invocation]:
        """The caller's own calls of an agent; those of others leave gaps: a page may be short."""
        await self._agents.get(caller, agent_id)
        page = await self._tables.for_caller(caller).read_page(INVOCATIONS, agent_id, index="AgentIndex", window=window)
        return Page([row for row in page.items if policies.is_owner(caller, row)], page.cursor)

    async def delete_invocations(self, *, agent_id: str | None = None, session_id: str | None = None) -> None:
        """Removes the calls of an agent, or of a session, that is gone; the counters keep what they counted."""
        index, value = ("AgentIndex", agent_id) if agent_id else ("SessionIndex", session_id)
        await self._tables.clear(INVOCATIONS, value or "", index=index)

    async def invoke(self, caller: Principal, agent_id: str, content: str, *, once: Once | None = None) -> Invocation:
        """One question, one answer, no session. A failure is an invocation with status `failed`, kept as well."""
        check_message_text(content)
        async with self._requests.begin_long_request(caller, once, Invocation) as request:
            if request.answer is None:
                agent = await self._agents.get(caller, agent_id)
                called = await self._call_agent(agent, content)
                invocation, writes = self.make_invocation_writes(caller, agent, called)
                await self._tables.commit(*writes, *request.make_answer_writes(invocation))
                request.answer = invocation
        return request.result

    async def _call_agent(self, agent: Agent, content: str) -> Called:
        spec, began = await self._agents.load_agent_spec(agent), self._clock()
        try:
            answer = await self._runtime.collect_answer(spec, [ChatMessage("user", content)])
        except NexusError as error:
            return Called(
                input_text=content, output_text="", duration_ms=self._measure_elapsed_ms(began), error=error.detail
            )
        return Called(
            input_text=content,
            output_text=answer.text,
            duration_ms=self._measure_elapsed_ms(began),
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            tools=[finished.name for finished in answer.results],
            metadata={"stop": answer.stop, "usage_unknown": answer.usage_unknown},
        )

    def make_invocation_writes(self, caller: Principal, agent: Agent, called: Called) -> tuple[Invocation, list[Write]]:
        """The row, the tallies and the tools' uses of one call; the caller commits them."""
        invocation = Invocation(
            invocation_id=self._new_id("inv"),
            agent_id=agent.agent_id,
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            session_id=called.session_id,
            input_text=truncate_to_bytes(called.input_text, KEPT_BYTES),
            output_text=truncate_to_bytes(called.output_text, KEPT_BYTES),
            status="failed" if called.error else "success",
            duration_ms=called.duration_ms,
            input_tokens=called.input_tokens,
            output_tokens=called.output_tokens,
            error_message=called.error,
            created_at=format_instant(self._clock()),
            metadata={"tools": list(called.tools), "version": agent.active_version, **(called.metadata or {})},
        )
        counts = self._tallies.make_tally_writes(
            caller.tenant_id,
            invocations=1,
            messages=called.messages,
            invocations_failed=int(bool(called.error)),
            invocation_ms=called.duration_ms,
            input_tokens=called.input_tokens,
            output_tokens=called.output_tokens,
        )
        uses = self._tools.make_use_count_writes(called.tools, marker=invocation.invocation_id)
        return invocation, [insert(INVOCATIONS, invocation), *counts, *uses]

    def _measure_elapsed_ms(self, began: float) -> int:
        return max(0, round((self._clock() - began) * 1000))
