"""How many builds are before one that is held: told in the order in which they are really let in."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.builds.model import Started
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Query, Window
from nexus.domain.ports.rows import Item
from nexus.domain.projects.admission import Limits
from nexus.domain.projects.model import make_feed_topic
from tests.domain.builds.test_builds import WANTED
from tests.memory_app import ANN, BEN, EVE, MemoryApp, make_adapters, open_app


class Counted(MemoryTables):
    """A store that counts what lists cost."""

    rows = 0

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        items, more = await super().query_rows(query)
        self.rows += len(items)
        return items, more


async def started(app: MemoryApp, caller: Principal = ANN, *, priority: int = 3) -> Started:
    return await app.services.builds.start(caller, structs.replace(WANTED, priority=priority))


async def position(app: MemoryApp, project_id: str, caller: Principal = ANN) -> int | None:
    projects = app.services.projects
    return await projects.find_queue_position(caller, await projects.get(caller, project_id))


async def positions(app: MemoryApp, builds: Sequence[Started]) -> Sequence[int | None]:
    return [await position(app, build.project_id) for build in builds]


async def told(app: MemoryApp, project_id: str, build_no: int = 1) -> object:
    """The position in the last event of a build."""
    return (await app.services.projects._events.read_events(make_feed_topic(project_id, build_no), limit=100))[
        -1
    ].data.get("position")


async def test_an_urgent_build_is_told_its_place_before_those_that_it_overtakes() -> None:
    async with open_app(structs.replace(make_adapters(), admission=Limits(1, 10)), serving=False) as app:
        first, low, old, urgent, late = [await started(app, priority=priority) for priority in (3, 1, 3, 5, 3)]
        assert [build.position for build in (first, low, old, urgent, late)] == [None, 1, 1, 1, 3]
        assert await told(app, urgent.project_id) == 1
        assert await positions(app, (first, urgent, old, late, low)) == [None, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whoever_has_so_many_before_it_is_let_in_after_so_many(seed: int) -> None:
    chance, places = random.Random(seed), 2
    async with open_app(structs.replace(make_adapters(), admission=Limits(places, 50)), serving=False) as app:
        running = [await started(app) for _ in range(places)]
        waiting = [await started(app, priority=chance.randint(1, 5)) for _ in range(15)]
        for build in chance.sample(waiting, 4):  # these wait anew, behind those of their priority
            await app.services.builds.execute_build_command(ANN, build.project_id, "pause")
            again = await app.services.builds.execute_build_command(ANN, build.project_id, "resume")
            assert await told(app, build.project_id) == await position(app, again.project_id)
        while waiting:
            now = await positions(app, waiting)
            assert sorted(filter(None, now)) == list(range(places, places + len(waiting)))
            await app.services.builds.execute_build_command(ANN, running.pop(0).project_id, "stop")
            running.append(waiting.pop(now.index(places)))
            assert await position(app, running[-1].project_id) is None


async def test_a_build_that_begins_again_and_is_held_is_told_its_position() -> None:
    async with open_app(structs.replace(make_adapters(), admission=Limits(1, 10)), serving=False) as app:
        ended = await started(app, priority=4)
        await app.services.builds.execute_build_command(ANN, ended.project_id, "stop")
        _, low, urgent = [await started(app, priority=priority) for priority in (3, 1, 5)]
        await app.services.builds.execute_build_command(ANN, ended.project_id, "restart")
        assert await told(app, ended.project_id, 2) == 2
        assert await positions(app, (urgent, ended, low)) == [1, 2, 3]


async def test_builds_of_colleagues_count_and_those_of_another_tenant_do_not() -> None:
    async with open_app(structs.replace(make_adapters(), admission=Limits(1, 10)), serving=False) as app:
        for caller in (EVE, EVE, EVE, BEN, BEN):
            await started(app, caller, priority=5)
        mine = await started(app)
        assert (mine.position, await position(app, mine.project_id)) == (2, 2)
        theirs = (await app.services.projects.list_projects(EVE, Window(), status="pending")).items
        assert sorted([await app.services.projects.find_queue_position(EVE, project) or 0 for project in theirs]) == [
            1,
            2,
        ]


async def test_a_position_costs_a_look_at_those_that_are_held_and_nothing_where_nobody_is() -> None:
    store = Counted()
    async with open_app(structs.replace(make_adapters(), tables=store, admission=Limits(1, 120)), serving=False) as app:
        first, *held = [await started(app) for _ in range(121)]
        store.rows = 0
        assert await position(app, first.project_id) is None
        assert store.rows == 0
        assert await position(app, held[-1].project_id) == 120
        assert store.rows == 120
