"""What a process that has nothing to do asks of its store, where every question costs money."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.composition.adapters import IDLE_QUERIES
from nexus.domain.ports.database import Query
from nexus.domain.ports.jobs import Lane
from nexus.domain.ports.rows import Item, Place, Write
from nexus.jobs.sweeper import FOLD_EVERY, Sweeper
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED
from tests.jobs.test_sweeper import Watch
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

EVERY_SECONDS, MOST_A_SECOND = 5, 4
BOTH: Sequence[Lane] = ("interactive", "background")


class CountingTables:
    """Tables that note what is asked: a word for a read or a write, the partition for a query."""

    def __init__(self, store: MemoryTables) -> None:
        self._store = store
        self.asked: list[str] = []

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        self.asked.append("read")
        return await self._store.read_rows(places)

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        self.asked.append(f"{query.table.name}/{query.partition}")
        return await self._store.query_rows(query)

    async def write_rows(self, writes: Sequence[Write]) -> None:
        self.asked.append("write")
        await self._store.write_rows(writes)


def make_sweeper(app: MemoryApp, lanes: Sequence[Lane] = BOTH) -> tuple[Sweeper, Watch]:
    watch, on = Watch(), app.adapters
    made = Sweeper(
        services=app.services, queue=on.queue, local=on.local, worker_id=on.worker_id, lanes=lanes, timer=watch
    )
    return made, watch


@pytest.mark.parametrize("lanes", [("interactive",), ("background",), BOTH])
async def test_an_idle_process_asks_little_and_leaves_no_place_out(lanes: Sequence[Lane]) -> None:
    tables = CountingTables(MemoryTables())
    async with open_app(structs.replace(make_adapters(), tables=tables), serving=False) as app:
        sweeper, _ = make_sweeper(app, lanes)
        await sweeper.recover_lost_jobs(IDLE_QUERIES)
        places = set(tables.asked[:-1]) - {"read", "write"}
        tables.asked.clear()
        for round_ in range(FOLD_EVERY):
            await sweeper.recover_lost_jobs(IDLE_QUERIES)
            await sweeper.apply_unanswered_controls()
            if round_ == 2:
                asked = set(tables.asked)
        assert len(tables.asked) <= MOST_A_SECOND * EVERY_SECONDS * FOLD_EVERY
        assert {place for place in places if "/tol_" not in place} <= asked


async def test_what_was_asked_of_nobody_is_looked_for_without_a_question() -> None:
    tables = CountingTables(MemoryTables())
    async with open_app(structs.replace(make_adapters(), tables=tables), serving=False) as app:
        tables.asked.clear()
        for _ in range(100):
            await app.sweeper.apply_unanswered_controls()
        assert not tables.asked


async def test_who_found_something_due_asks_all_places_until_nothing_is() -> None:
    tables = CountingTables(MemoryTables())
    async with open_app(structs.replace(make_adapters(script()), tables=tables), serving=False) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await dead.services.build_runner._leases.claim_build(started.task_id, "w1")
        on = structs.replace(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2"))
        async with open_app(on, serving=False) as app:
            sweeper, watch = make_sweeper(app)
            rounds = 0
            while (await app.services.tasks.read(started.task_id)).worker_id == "w1":
                app.clock.now += EVERY_SECONDS
                watch.now += EVERY_SECONDS
                tables.asked.clear()
                await sweeper.recover_lost_jobs(IDLE_QUERIES)
                rounds += 1
            assert rounds * EVERY_SECONDS <= 30 + 3 * EVERY_SECONDS + 30 + EVERY_SECONDS
            assert len([one for one in tables.asked if one.startswith(("tasks/", "replies/"))]) >= 36
