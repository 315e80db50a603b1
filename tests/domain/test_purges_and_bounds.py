"""What is deleted is gone for good, whatever happens meanwhile; and what is kept has bounds that rows and models can bear."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.agents.tables import INVOCATIONS
from nexus.domain.ports.database import Window
from nexus.domain.ports.models import ToolCall, Usage
from nexus.domain.ports.rows import Write, insert
from nexus.domain.projects.model import Project
from nexus.domain.sessions import rules
from nexus.domain.sessions.model import Message, Reply, TextPart
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.tallies.model import Tally
from nexus.domain.tallies.tables import TALLIES
from tests.domain.builds.scripts import AGENT, ARCHITECTURE, doubling, said, script
from tests.domain.builds.test_builds import over
from tests.domain.test_known_failures_of_stores import built, deleted, left, scripted, store, talked
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

WIDE = "\U00020000"
"""A Chinese character of four bytes."""


async def swept(app: MemoryApp) -> None:
    for _ in range(3):
        app.clock.now += 3600
        await app.sweeper.recover_lost_jobs()
        await app.queue.wait_until_idle()


# --- what is deleted


async def caught_up(app: MemoryApp, writes: int) -> None:
    """So many writes later an index shows everything that was written before."""
    for _ in range(writes):
        await store(app).commit(insert(TALLIES, Tally(tenant_id="tnt_none", day=app.adapters.new_id("day"))))


async def test_a_purge_finds_all_sessions_though_the_index_lags() -> None:
    async with open_app(structs.replace(make_adapters(script()), tables=MemoryTables(lag=300))) as app:
        project = await built(app)
        for _ in range(120):
            await app.services.sessions.create_session(ANN, project.agent_ids[0])
        await caught_up(app, 300)
        await app.services.deletions.delete_project(ANN, project.project_id)
        await caught_up(app, 300)
        await swept(app)
        assert await left(app, SESSIONS) == {}


class Between(MemoryTables):
    """A store in which something happens just before the first deletion from a table."""

    def __init__(self) -> None:
        super().__init__()
        self._table = ""
        self._act: Callable[[], Awaitable[object]] | None = None

    def before(self, table: str, act: Callable[[], Awaitable[object]]) -> None:
        self._table, self._act = table, act

    async def write_rows(self, writes: Sequence[Write]) -> None:
        if self._act and any((write.verb, write.table.name) == ("delete", self._table) for write in writes):
            act, self._act = self._act, None
            await act()
        await super().write_rows(writes)


async def speaking(app: MemoryApp, project: Project, gate: Gate) -> Reply:
    """A reply that is held in its middle."""
    session = await app.services.sessions.create_session(ANN, project.agent_ids[0])
    scripted(app).add(turn("half ", gate, "whole"), purpose="reply")
    reply = await app.services.sessions.send(ANN, session.session_id, "Say something.")
    await gate.reached.wait()
    return reply


async def test_a_reply_that_ends_while_its_session_is_purged_leaves_no_message() -> None:
    between, gate = Between(), Gate()
    async with open_app(structs.replace(make_adapters(script()), tables=between)) as app:
        project = await built(app)
        reply = await speaking(app, project, gate)

        async def ends() -> None:
            gate.opened.set()
            while (await store(app).get(REPLIES, reply.reply_id)).status == "running":
                await asyncio.sleep(0)

        between.before("replies", ends)
        await deleted(app, "project", project)
        app.clock.now += 5
        await app.sweeper.recover_lost_jobs()
        await app.queue.wait_until_idle()
        assert await left(app, SESSIONS, MESSAGES, REPLIES) == {}


async def test_a_deletion_ends_the_replies_that_are_being_written() -> None:
    gate = Gate()
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        await speaking(app, project, gate)
        await app.services.deletions.delete_project(ANN, project.project_id)
        await app.sweeper.recover_lost_jobs()
        for _ in range(500):
            await asyncio.sleep(0)
        still = scripted(app).open
        gate.opened.set()
        await app.queue.wait_until_idle()
        assert still == 0


async def test_a_deleted_session_does_not_keep_its_messages_for_ever() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        session = await talked(app, project.agent_ids[0], "one", "two")
        await app.services.session_deletions.soft_delete_session(ANN, session.session_id)
        await swept(app)
        assert await left(app, SESSIONS, MESSAGES, REPLIES) == {}


async def test_nothing_that_was_said_to_a_deleted_project_is_kept() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        await talked(app, project.agent_ids[0], "Nobody shall ever read this.")
        await deleted(app, "project", project)
        rows = (await store(app).walk(INVOCATIONS, Window(limit=100))).items
        assert not any("Nobody shall" in row.input_text for row in rows)


async def rebuilt(app: MemoryApp, project: Project, from_stage: str) -> None:
    await app.services.builds.execute_build_command(ANN, project.project_id, "restart", from_stage=from_stage)
    assert (await over(app, project.project_id)).status == "completed"


async def test_a_purge_that_comes_late_spares_the_sessions_of_an_agent_that_was_made_again() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        await app.services.agents.delete(ANN, project.agent_ids[0])
        scripted(app).add(*doubling(3), *doubling(4), purpose="reply")
        await rebuilt(app, project, "verification")
        session = await talked(app, project.agent_ids[0], "Do I stay?")
        await swept(app)
        assert (await app.services.sessions.get(ANN, session.session_id)).message_count == 2


async def test_agents_of_all_builds_go_with_their_project_at_once() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        second = structs.replace(ARCHITECTURE, agents=[structs.replace(AGENT, slug="second", name="Second")])
        for purpose, turns in script(architecture=[said(second)])._by_purpose.items():
            scripted(app).add(
                *(turns if purpose not in ("build.intake", "build.requirements") else ()), purpose=purpose
            )
        await rebuilt(app, project, "architecture")
        await app.services.deletions.delete_project(ANN, project.project_id)
        assert (await app.services.agents.list_agents(ANN, Window())).items == []
        assert (await app.services.statistics.read_overview(ANN)).agents == 0


# --- what is counted


async def test_an_agent_that_was_deleted_and_built_again_counts_as_one() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        await app.services.agents.delete(ANN, project.agent_ids[0])
        scripted(app).add(*doubling(3), *doubling(4), purpose="reply")
        await rebuilt(app, project, "verification")
        assert len((await app.services.agents.list_agents(ANN, Window())).items) == 1
        assert (await app.services.statistics.read_overview(ANN)).agents == 1


async def test_the_statistics_count_the_messages_that_sessions_have() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        session = await talked(app, project.agent_ids[0], "one", "two")
        has = (await app.services.sessions.get(ANN, session.session_id)).message_count
        assert (await app.services.statistics.read_overview(ANN)).messages == has


async def test_the_statistics_do_not_count_sessions_that_are_gone() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        session = await talked(app, project.agent_ids[0], "one")
        await app.services.session_deletions.soft_delete_session(ANN, session.session_id)
        assert (await app.services.statistics.read_overview(ANN)).sessions == 0


# --- what is large


@pytest.mark.parametrize(
    ("asked", "answered"), [("Go on.", "x" * 450_000), (WIDE * 50_000, WIDE * 60_000)], ids=["answer", "accounting"]
)
async def test_a_reply_that_no_row_can_hold_ends_and_its_session_goes_on(asked: str, answered: str) -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        session = await app.services.sessions.create_session(ANN, project.agent_ids[0])
        scripted(app).add(*[turn(answered)] * 4, purpose="reply")
        await app.services.sessions.send(ANN, session.session_id, asked)
        await app.queue.wait_until_idle()
        await swept(app)
        assert (await app.services.sessions.get(ANN, session.session_id)).active_reply is None


async def test_a_call_in_wide_characters_is_recorded() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        scripted(app).add(turn(WIDE * 60_000), purpose="reply")
        called = await app.services.invocations.invoke(ANN, project.agent_ids[0], WIDE * 50_000)
        assert called.status == "success"


# --- what is Chinese


def tokens(text: str) -> float:
    """A low estimate: four characters of English to a token, one of Chinese."""
    return sum(1.0 if character >= "\u2e80" else 0.25 for character in text)


def spoken(content: str) -> list[Message]:
    message = Message(
        session_id="s",
        message_id="m",
        tenant_id="t",
        user_id="u",
        role="user",
        parts=(TextPart(content),),
        created_at="now",
    )
    return [message] * 60


def test_a_conversation_takes_as_much_of_the_model_in_chinese_as_in_english() -> None:
    english, chinese = (
        sum(tokens(kept.content) for kept in rules.select_context_messages(spoken(content)))
        for content in ("What is value added tax? " * 40, "增值税是什么？" * 143)
    )
    assert chinese < 1.5 * english


async def test_a_long_chinese_conversation_leaves_room_for_two_calls_of_tools() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        session = await talked(app, project.agent_ids[0], *["税" * 5_900] * 8)
        calls = [turn(ToolCall(f"c{number}", "double_it", '{"number": 2}')) for number in range(2)]
        read = Usage(round(tokens("税" * 5_900 * 8)), 20)
        turns = [structs.replace(one, usage=read) for one in (*calls, turn("That is 4."))]
        scripted(app).add(*turns, purpose="reply")
        reply = await app.services.sessions.send(ANN, session.session_id, "double 2, twice")
        await app.queue.wait_until_idle()
        ended = await app.services.sessions.get_reply(ANN, session.session_id, reply.reply_id)
        assert (ended.status, ended.content) == ("completed", "That is 4.")
