"""What a process that has nothing to do asks of its store, where every question costs money."""

import asyncio
from collections.abc import Collection, Sequence

import pytest
from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.composition.adapters import IDLE_QUERIES
from nexus.composition.process import DUTIES, Duty, run_process
from nexus.domain.ports.jobs import Lane
from nexus.jobs.lanes import Lanes
from nexus.jobs.sweeper import FOLD_EVERY, Sweeper
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED
from tests.fakes.counting import CountingTables
from tests.fakes.loops import SkippingLoop
from tests.jobs.test_sweeper import Watch
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

EVERY_SECONDS, MOST_A_SECOND = 5, 4
BOTH: Sequence[Lane] = ("interactive", "background")


def _list_asked_places(tables: CountingTables) -> set[tuple[str, object]]:
    """Where work was looked for."""
    queries = (call for call in tables.calls if call.operation == "query")
    return {(*call.tables, call.partition) for call in queries if call.tables[0] in ("tasks", "replies")}


def make_sweeper(app: MemoryApp, lanes: Sequence[Lane] = BOTH) -> tuple[Sweeper, Watch]:
    watch, on = Watch(), app.adapters
    made = Sweeper(
        services=app.services, queue=on.queue, local=on.local, worker_id=on.worker_id, lanes=lanes, timer=watch
    )
    return made, watch


async def count_calls_at_rest(duties: Collection[Duty], seconds: int) -> int:
    tables, lanes = CountingTables(MemoryTables()), Lanes()
    on = structs.replace(make_adapters(), tables=tables, queue=lanes, local=lanes, idle_queries=IDLE_QUERIES)
    async with run_process(on, lanes, duties):
        tables.reset()
        await asyncio.sleep(seconds)
        return len(tables.calls)


@pytest.mark.parametrize(
    ("duties", "most_a_second"),
    [*((DUTIES[role], 4) for role in ("all", "api", "worker")), (("http", "interactive", "background"), 0.5)],
    ids=["all", "api", "worker", "one that does not sweep"],
)
def test_a_whole_process_at_rest_asks_little(duties: Collection[Duty], most_a_second: float) -> None:
    seconds = 600
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        assert runner.run(count_calls_at_rest(duties, seconds)) <= most_a_second * seconds


@pytest.mark.parametrize("lanes", [("interactive",), ("background",), BOTH])
async def test_an_idle_process_asks_little_and_leaves_no_place_out(lanes: Sequence[Lane]) -> None:
    tables = CountingTables(MemoryTables())
    async with open_app(structs.replace(make_adapters(), tables=tables), serving=False) as app:
        sweeper, _ = make_sweeper(app, lanes)
        await sweeper.recover_lost_jobs(IDLE_QUERIES)
        places = _list_asked_places(tables)
        tables.reset()
        for round_ in range(FOLD_EVERY):
            await sweeper.recover_lost_jobs(IDLE_QUERIES)
            await sweeper.apply_unanswered_controls()
            if round_ == 2:
                asked = _list_asked_places(tables)
        assert len(tables.calls) <= MOST_A_SECOND * EVERY_SECONDS * FOLD_EVERY
        assert places and places <= asked


async def test_what_was_asked_of_nobody_is_looked_for_without_a_question() -> None:
    tables = CountingTables(MemoryTables())
    async with open_app(structs.replace(make_adapters(), tables=tables), serving=False) as app:
        tables.reset()
        for _ in range(100):
            await app.sweeper.apply_unanswered_controls()
        assert not tables.calls


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
                tables.reset()
                await sweeper.recover_lost_jobs(IDLE_QUERIES)
                rounds += 1
            assert rounds * EVERY_SECONDS <= 30 + 3 * EVERY_SECONDS + 30 + EVERY_SECONDS
            assert len(_list_asked_places(tables)) >= 36
