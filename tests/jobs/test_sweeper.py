"""What the sweeper leaves alone, what it collects, and what it says when it cannot help."""

from collections.abc import Sequence

from msgspec import structs

from nexus.domain.builds.model import RunBuild
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.database import TableDriver
from nexus.domain.ports.rows import Write
from nexus.domain.projects.admission import Limits
from nexus.jobs.sweeper import Sweeper
from tests.domain.builds.scripts import DESIGN, said, script
from tests.domain.builds.test_builds import WANTED
from tests.fakes.jobs import MemoryJobs
from tests.fakes.models import Gate, turn
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app


class Watch:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class ReadOnly:
    """A store that cannot write while it is full."""

    def __init__(self, store: TableDriver) -> None:
        self.read_rows, self.query_rows, self._store, self.is_full = store.read_rows, store.query_rows, store, False

    async def write_rows(self, writes: Sequence[Write]) -> None:
        if self.is_full:
            raise Unavailable("The storage is full.")
        await self._store.write_rows(writes)


def watching(app: MemoryApp) -> tuple[Sweeper, Watch]:
    watch = Watch()
    on = app.adapters
    return Sweeper(services=app.services, queue=on.queue, local=on.local, worker_id=on.worker_id, timer=watch), watch


async def swept(app: MemoryApp, sweeper: Sweeper, watch: Watch, *, seconds: int) -> None:
    """As time goes by: a look every five seconds."""
    for _ in range(seconds // 5):
        app.clock.now += 5
        watch.now += 5
        await sweeper.recover_lost_jobs()


async def test_a_run_that_was_taken_over_and_waits_here_is_not_taken_over_again() -> None:
    gate = Gate()
    async with open_app(make_adapters(script(design=[turn(gate, "late"), said(DESIGN)]))) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        on = make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2")
        async with open_app(on, serving=False) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            fence = (await app.services.tasks.read(started.task_id)).fence
            sweeper, watch = watching(app)
            await swept(app, sweeper, watch, seconds=300)
            assert (await app.services.tasks.read(started.task_id)).fence == fence
            assert sweeper.stuck_runs == 0
        gate.opened.set()


async def test_a_run_that_nobody_can_take_over_is_called_stuck_after_a_minute() -> None:
    gate = Gate()
    async with open_app(make_adapters(script(design=[turn(gate, "late")]))) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await gate.reached.wait()
        store = ReadOnly(dead.adapters.tables)
        on = structs.replace(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2"), tables=store)
        async with open_app(on, serving=False) as app:
            dead.clock.now += 60
            store.is_full = True
            sweeper, watch = watching(app)
            await swept(app, sweeper, watch, seconds=60)
            assert sweeper.stuck_runs == 0
            await swept(app, sweeper, watch, seconds=10)
            assert sweeper.stuck_runs == 1
            store.is_full = False
            await swept(app, sweeper, watch, seconds=10)
            assert sweeper.stuck_runs == 0
            assert (await app.services.tasks.read(started.task_id)).worker_id == "w2"
        gate.opened.set()


async def test_what_waits_in_the_queue_and_what_is_held_is_not_stuck() -> None:
    on = structs.replace(make_adapters(script()), admission=Limits(1, 10))
    async with open_app(on, serving=False) as app:
        for _ in range(2):
            await app.services.builds.start(ANN, WANTED)
        sweeper, watch = watching(app)
        await swept(app, sweeper, watch, seconds=300)
        assert sweeper.stuck_runs == 0


async def test_after_a_restart_what_had_begun_goes_on_before_what_is_new_and_the_urgent_before_both() -> None:
    async with open_app(serving=False) as before:
        runs = before.services.build_runner._leases
        begun, new = list[str](), list[str]()
        for number in range(12):
            started = await before.services.builds.start(ANN, WANTED)
            if number % 3:
                new.append(started.task_id)
            else:
                begun.append(started.task_id)
                await runs.release_build(await runs.claim_build(started.task_id, before.adapters.worker_id))
        urgent = (await before.services.builds.start(ANN, structs.replace(WANTED, priority=5))).task_id
        queue = MemoryJobs()
        on = make_adapters(like=before.adapters, clock=before.clock, worker_id="w2")
        async with open_app(structs.replace(on, queue=queue), serving=False) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
        offered = [job.task_id for job in queue.handed if isinstance(job, RunBuild)]
        assert offered == [urgent, *sorted(begun), *sorted(new)]


async def test_it_knows_since_when_the_row_waits_that_waits_longest() -> None:
    async with open_app(make_adapters(script(builds=2)), serving=False) as app:
        sweeper, watch = watching(app)
        await swept(app, sweeper, watch, seconds=5)
        assert sweeper.waiting_since == {"interactive": "", "background": ""}
        first = await app.services.builds.start(ANN, WANTED)
        await swept(app, sweeper, watch, seconds=5)
        await app.services.builds.start(ANN, WANTED)
        await swept(app, sweeper, watch, seconds=60)
        assert sweeper.waiting_since["background"] == first.created_at
