"""Failures that other platforms are known for where things are kept, listed, counted and removed; the table of all stands in
`test_known_failures.py`."""

from typing import Any

import pytest

from nexus.domain.agents.model import Invocation
from nexus.domain.agents.tables import AGENTS, DEPLOYMENTS, VERSIONS
from nexus.domain.core.errors import InvalidInput, NotFound
from nexus.domain.core.texts import estimate_tokens
from nexus.domain.ports.database import Page, Tables, Window
from nexus.domain.ports.rows import Table
from nexus.domain.projects.model import FinishDeletion, Project
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.sessions import rules
from nexus.domain.sessions.model import Message, Session, TextPart
from nexus.domain.sessions.rules import CONTEXT_WEIGHT
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from nexus.domain.tasks.model import Task
from nexus.jobs.registry import encode
from nexus.jobs.runner import Runner
from tests.domain.builds.scripts import doubling, script
from tests.domain.builds.test_builds import WANTED, over
from tests.domain.projects.test_races import command
from tests.fakes.models import ScriptedModel, turn
from tests.memory_app import ANN, EVE, MemoryApp, make_adapters, open_app


def scripted(app: MemoryApp) -> ScriptedModel:
    assert isinstance(app.adapters.default_model, ScriptedModel)
    return app.adapters.default_model


async def built(app: MemoryApp) -> Project:
    started = await app.services.builds.start(ANN, WANTED)
    project = await over(app, started.project_id)
    assert project.status == "completed"
    return project


async def talked(app: MemoryApp, agent_id: str, *said: str) -> Session:
    """A session in which all this was said and answered."""
    session = await app.services.sessions.create_session(ANN, agent_id)
    for content in said:
        scripted(app).add(turn("Yes."), purpose="reply")
        await app.services.sessions.send(ANN, session.session_id, content)
        await app.queue.wait_until_idle()
    return session


# --- C4


async def paged(app: MemoryApp, limit: int, status: str | None = None) -> tuple[list[Project], list[int]]:
    """All projects of a list, page by page, newest first, and how many stood on each page."""
    found, sizes, cursor = list[Project](), list[int](), None
    while not sizes or cursor:
        window = Window(limit=limit, cursor=cursor, newest_first=True)
        page: Page[Project] = await app.services.projects.list_projects(ANN, window, status=status)
        found, cursor = found + page.items, page.cursor
        sizes.append(len(page.items))
    return found, sizes


@pytest.mark.parametrize(("limit", "sizes"), [(20, [20, 20, 10]), (25, [25, 25]), (100, [50])])
async def test_lists_page_through_everything_and_filters_lose_no_rows(limit: int, sizes: list[int]) -> None:
    async with open_app(serving=False) as app:
        ids = list[str]()
        for _ in range(50):
            await app.services.builds.start(EVE, WANTED)
            ids.append((await app.services.builds.start(ANN, WANTED)).project_id)
        for project_id in ids[::3]:
            await command(app, project_id, "stop")
        found, counted = await paged(app, limit)
        assert [project.project_id for project in found] == ids[::-1]
        assert counted == sizes
        stopped, _ = await paged(app, limit, "cancelled")
        assert [project.project_id for project in stopped] == ids[::3][::-1]
        queued, _ = await paged(app, limit, "queued")
        assert [project.project_id for project in queued] == [one for n, one in enumerate(ids) if n % 3][::-1]


async def test_a_page_is_not_disturbed_by_what_begins_or_changes_between_two_pages() -> None:
    async with open_app(serving=False) as app:
        ids = [(await app.services.builds.start(ANN, WANTED)).project_id for _ in range(30)]
        first = await app.services.projects.list_projects(ANN, Window(limit=10, newest_first=True))
        await app.services.builds.start(ANN, WANTED)
        await command(app, ids[20], "stop")
        await command(app, ids[19], "stop")
        rest = await app.services.projects.list_projects(ANN, Window(limit=100, cursor=first.cursor, newest_first=True))
        assert [project.project_id for project in (*first.items, *rest.items)] == ids[::-1]
        again = Window(cursor=first.cursor, newest_first=True)
        for caller, status in ((ANN, "queued"), (EVE, None)):
            with pytest.raises(InvalidInput, match="not one of this list"):
                await app.services.projects.list_projects(caller, again, status=status)


# --- C5


async def calls_of(app: MemoryApp, agent_id: str) -> list[Invocation]:
    found, cursor, more = list[Invocation](), None, True
    while more:
        page = await app.services.invocations.list_caller_invocations(ANN, agent_id, Window(limit=50, cursor=cursor))
        found, cursor, more = found + page.items, page.cursor, page.cursor is not None
    return found


async def test_every_call_is_recorded_and_the_statistics_are_its_sum() -> None:
    async with open_app(make_adapters(script())) as app:
        [agent_id] = (await built(app)).agent_ids
        session = await talked(app, agent_id, "Is it so?")
        for number in range(110):
            scripted(app).add(*doubling(number), purpose="reply")
            await app.services.invocations.invoke(ANN, agent_id, f"double {number}")
        failed = await app.services.invocations.invoke(ANN, agent_id, "the script is at its end")
        calls = await calls_of(app, agent_id)
        assert [(call.input_text, call.status, call.session_id) for call in calls] == [
            ("Is it so?", "success", session.session_id),
            *((f"double {number}", "success", None) for number in range(110)),
            (failed.input_text, "failed", None),
        ]
        assert failed.error_message == "The script has no turn left for reply."
        assert sum(call.input_tokens for call in calls) == 10 + 110 * 20
        overview = await app.services.statistics.read_overview(ANN)
        assert (overview.projects, overview.agents, overview.sessions, overview.builds_completed) == (1, 1, 1, 1)
        assert (overview.invocations, overview.invocations_failed) == (112, 1)
        assert overview.input_tokens == sum(call.input_tokens for call in calls)
        assert overview.output_tokens == sum(call.output_tokens for call in calls)
        assert overview.today.invocation_ms == sum(call.duration_ms for call in calls) > 0
        yesterday, today = await app.services.statistics.list_daily_tallies(ANN, 2)
        assert (yesterday.invocations, today) == (0, overview.today)
        assert (await app.services.statistics.read_overview(EVE)).invocations == 0


# --- C9, C10


def store(app: MemoryApp) -> Tables:
    return Tables(app.adapters.tables, secret=app.adapters.secret, clock=app.clock)


async def left(app: MemoryApp, *tables: Table[Any]) -> dict[str, int]:
    """How many rows there are in some tables; those without any do not appear."""
    found = dict[str, int]()
    for table in tables:
        cursor, more = None, True
        while more:
            page = await store(app).walk(table, Window(limit=100, cursor=cursor))
            found[table.name] = found.get(table.name, 0) + len(page.items)
            cursor, more = page.cursor, page.cursor is not None
    return {name: count for name, count in found.items() if count}


async def much_was_said(app: MemoryApp, agent_id: str) -> None:
    """More than a hundred sessions, and more than a hundred messages in one of them."""
    for _ in range(120):
        await app.services.sessions.create_session(ANN, agent_id)
    session = await talked(app, agent_id, *(f"{number}?" for number in range(60)))
    assert (await app.services.sessions.get(ANN, session.session_id)).message_count == 120


async def deleted(app: MemoryApp, what: str, project: Project) -> None:
    if what == "agent":
        await app.services.agents.delete(ANN, project.agent_ids[0])
    else:
        await app.services.deletions.delete_project(ANN, project.project_id)
    await app.sweeper.recover_lost_jobs()
    await app.queue.wait_until_idle()


@pytest.mark.parametrize("what", ["agent", "project"])
async def test_nothing_of_what_is_deleted_stays_and_nothing_else_goes(what: str) -> None:
    async with open_app(make_adapters(script())) as app:
        other = await built(app)
        theirs = await talked(app, other.agent_ids[0], "Do I stay?")
        kept = await left(app, PROJECTS, BUILDS, STAGES, AGENTS, VERSIONS, DEPLOYMENTS, SESSIONS, MESSAGES, REPLIES)
        files = await app.adapters.files.list("projects")
        for purpose, turns in script()._by_purpose.items():
            scripted(app).add(*turns, purpose=purpose)
        project = await built(app)
        await much_was_said(app, project.agent_ids[0])
        await deleted(app, what, project)
        sessions = {name: kept[name] for name in ("sessions", "messages", "replies")}
        assert await left(app, SESSIONS, MESSAGES, REPLIES) == sessions
        if what == "project":
            assert await left(app, PROJECTS, BUILDS, STAGES, AGENTS, VERSIONS, DEPLOYMENTS) | sessions == kept
            assert await app.adapters.files.list("projects") == files
        assert await app.services.tasks.executions.list_unfinished_rows() == []
        for verb in (
            app.services.agents.get(ANN, project.agent_ids[0]),
            app.services.sessions.create_session(ANN, project.agent_ids[0]),
            app.services.invocations.invoke(ANN, project.agent_ids[0], "Are you there?"),
        ):
            with pytest.raises(NotFound):
                await verb
        assert (await app.services.sessions.get(ANN, theirs.session_id)).message_count == 2


async def test_a_deletion_leaves_builds_that_wait_as_they_are() -> None:
    async with open_app(make_adapters(script()), serving=False) as app:
        waiting = [await app.services.builds.start(ANN, WANTED) for _ in range(12)]
        started = await app.services.builds.start(ANN, WANTED)
        await app.services.build_runner.run_build_job(started.task_id)
        project = await app.services.projects.get(ANN, started.project_id)
        assert project.status == "completed"
        before = [await app.services.tasks.get(ANN, one.task_id) for one in waiting]
        await app.services.deletions.delete_project(ANN, started.project_id)
        runner = Runner(services=app.services, worker_id="w1")
        await runner.run_job(encode(FinishDeletion(task_id=(await purge_of(app, started.project_id)).task_id)))
        assert [await app.services.tasks.get(ANN, one.task_id) for one in waiting] == before
        assert {(task.status, task.retry_count, task.fence) for task in before} == {("queued", 0, 0)}


async def purge_of(app: MemoryApp, project_id: str) -> Task:
    page = await app.services.tasks.list_project_tasks(ANN, project_id, Window())
    [found] = [task for task in page.items if task.task_type == "purge"]
    return found


# --- C16


async def test_a_chinese_conversation_is_cut_at_whole_messages_and_its_newest_is_kept() -> None:
    said = ["增值税怎么算？" * 500 for _ in range(20)]
    async with open_app(make_adapters(script())) as app:
        [agent_id] = (await built(app)).agent_ids
        await talked(app, agent_id, *said, "那么消费税呢？")
        system, *history = scripted(app).requests[-1].messages
        assert (system.role, history[-1].content) == ("system", "那么消费税呢？")
        assert {message.content for message in history} == {said[0], "Yes.", "那么消费税呢？"}
        assert CONTEXT_WEIGHT - 2 * estimate_tokens(said[0]) < sum(
            estimate_tokens(message.content) for message in history
        )
        assert sum(estimate_tokens(message.content) for message in history) <= CONTEXT_WEIGHT


def test_one_message_beyond_all_bounds_is_answered_all_the_same_and_alone() -> None:
    message = Message(
        session_id="s",
        message_id="m",
        tenant_id="t",
        user_id="u",
        role="user",
        parts=(TextPart("税" * 50_000),),
        created_at="now",
    )
    assert [kept.content for kept in rules.select_context_messages([message, message])] == [message.content]
