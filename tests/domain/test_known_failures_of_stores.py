"""Failures that other platforms are known for where things are kept, listed, counted and removed; the table of all stands in
`test_known_failures.py`."""

from collections.abc import Sequence

import msgspec
import pytest

from nexus.adapters.memory.models import ScriptedModel, turn
from nexus.domain.agents.tables import AGENTS, DEPLOYMENTS, VERSIONS
from nexus.domain.core.errors import InvalidInput, NotFound
from nexus.domain.ports.database import Page, Tables, Window
from nexus.domain.ports.models import ToolCall
from nexus.domain.ports.rows import Entity, Row, Table, insert
from nexus.domain.projects.model import Project
from nexus.domain.projects.tables import BUILDS, PROJECTS, STAGES
from nexus.domain.sessions import rules
from nexus.domain.sessions.model import Message, Role, Session
from nexus.domain.sessions.rules import CONTEXT_CHARACTERS
from nexus.domain.sessions.tables import MESSAGES, REPLIES, SESSIONS
from tests.domain.builds.scripts import doubling, script
from tests.domain.builds.test_builds import WANTED, over
from tests.domain.projects.test_races import command
from tests.house import ANN, EVE, House, open_house, world


def scripted(house: House) -> ScriptedModel:
    assert isinstance(house.world.model, ScriptedModel)
    return house.world.model


async def built(house: House) -> Project:
    started = await house.services.builds.start(ANN, WANTED)
    project = await over(house, started.project_id)
    assert project.status == "completed"
    return project


async def talked(house: House, agent_id: str, *said: str) -> Session:
    """A session in which all this was said and answered."""
    session = await house.services.sessions.open(ANN, agent_id)
    for content in said:
        scripted(house).add(turn("Yes."), purpose="reply")
        await house.services.sessions.send(ANN, session.session_id, content)
        await house.queue.settled()
    return session


# --- C4


async def paged(house: House, limit: int, status: str | None = None) -> tuple[list[Project], list[int]]:
    """All projects of a list, page by page, newest first, and how many stood on each page."""
    found, sizes, cursor = list[Project](), list[int](), None
    while not sizes or cursor:
        window = Window(limit=limit, cursor=cursor, newest_first=True)
        page: Page[Project] = await house.services.projects.page(ANN, window, status=status)
        found, cursor = found + page.items, page.cursor
        sizes.append(len(page.items))
    return found, sizes


@pytest.mark.parametrize(("limit", "sizes"), [(20, [20, 20, 10]), (25, [25, 25]), (100, [50])])
async def test_lists_page_through_everything_and_filters_lose_no_rows(limit: int, sizes: list[int]) -> None:
    async with open_house(serving=False) as house:
        ids = list[str]()
        for _ in range(50):
            await house.services.builds.start(EVE, WANTED)
            ids.append((await house.services.builds.start(ANN, WANTED)).project_id)
        for project_id in ids[::3]:
            await command(house, project_id, "stop")
        found, counted = await paged(house, limit)
        assert [project.project_id for project in found] == ids[::-1]
        assert counted == sizes
        stopped, _ = await paged(house, limit, "cancelled")
        assert [project.project_id for project in stopped] == ids[::3][::-1]
        queued, _ = await paged(house, limit, "queued")
        assert [project.project_id for project in queued] == [one for n, one in enumerate(ids) if n % 3][::-1]


async def test_a_page_is_not_disturbed_by_what_begins_or_changes_between_two_pages() -> None:
    async with open_house(serving=False) as house:
        ids = [(await house.services.builds.start(ANN, WANTED)).project_id for _ in range(30)]
        first = await house.services.projects.page(ANN, Window(limit=10, newest_first=True))
        await house.services.builds.start(ANN, WANTED)
        await command(house, ids[20], "stop")
        await command(house, ids[19], "stop")
        rest = await house.services.projects.page(ANN, Window(limit=100, cursor=first.cursor, newest_first=True))
        assert [project.project_id for project in (*first.items, *rest.items)] == ids[::-1]
        for strange in ({"status": "queued"}, {"status": "cancelled"}):
            with pytest.raises(InvalidInput):
                await house.services.projects.page(ANN, Window(cursor=first.cursor, newest_first=True), **strange)
        with pytest.raises(InvalidInput):
            await house.services.projects.page(EVE, Window(cursor=first.cursor, newest_first=True))


# --- C5


async def test_every_call_is_recorded_and_the_statistics_are_its_sum() -> None:
    async with open_house(world(script())) as house:
        [agent_id] = (await built(house)).agent_ids
        session = await talked(house, agent_id, "Is it so?")
        for number in range(120):
            scripted(house).add(*doubling(number), purpose="reply")
            await house.services.invocations.invoke(ANN, agent_id, f"double {number}")
        failed = await house.services.invocations.invoke(ANN, agent_id, "the script is at its end")
        calls, cursor = list[Row](), None
        while len(calls) < 200:
            page = await house.services.invocations.page(ANN, agent_id, Window(limit=50, cursor=cursor))
            calls, cursor = calls + page.items, page.cursor
            if cursor is None:
                break
        rows = [house_row for house_row in calls if hasattr(house_row, "status")]
        assert len(rows) == 122
        overview = await house.services.statistics.overview(ANN)
        assert (failed.status, overview.invocations, overview.invocations_failed) == ("failed", 122, 1)
        assert session.agent_id == agent_id
