"""A kind of work that the product does not have: a table, a verb and a JobSpec, and everything that builds are promised holds for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.composition.adapters import Adapters
from nexus.composition.process import Duty, Process, run_process
from nexus.domain.core.errors import InvalidInput, Unavailable
from nexus.domain.ports.database import Tables
from nexus.domain.ports.jobs import Job
from nexus.domain.ports.rows import Index, Table, insert
from nexus.domain.services import Services
from nexus.domain.tasks.execution import Executions, LeaseRow, LeaseTable
from nexus.jobs.lanes import Lanes
from nexus.jobs.outcomes import Outcome
from nexus.jobs.registry import REGISTRY, JobSpec, Registry
from nexus.jobs.sweeper import Sweeper
from tests.fakes.models import Gate
from tests.memory_app import MovableClock, make_adapters


class Digest(LeaseRow, frozen=True, kw_only=True):
    digest_id: str


class WriteDigest(Job, frozen=True, kw_only=True, tag="digests.write"):
    digest_id: str


DIGESTS = Table(
    "digests", Digest, ("digest_id",), indexes=(Index("DispatchIndex", "dispatch", "due_at", keys_only=True),)
)
LEASES = LeaseTable(DIGESTS, places={"queued": ["queued"], "running": ["running"]})


class Watch:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Here:
    """One process that writes digests: what its verb does is what a test says."""

    def __init__(self, name: str, store: MemoryTables, clock: MovableClock) -> None:
        lanes = Lanes()
        self.on: Adapters = structs.replace(
            make_adapters(clock=clock, worker_id=name), tables=store, queue=lanes, local=lanes
        )
        self.clock, self.watch, self.begun = clock, Watch(), list[str]()
        self.tables = Tables(store, secret=b"s" * 32, clock=clock)
        self.executions = Executions(LEASES, tables=self.tables, clock=clock, heartbeat=self.on.heartbeat)
        self.outcomes = list[Outcome | Exception | Gate]()
        spec = JobSpec(
            job=WriteDigest, run=self.write, lane="background", executions=lambda _: self.executions, attempts=3
        )
        self.registry = Registry([*REGISTRY.specs, spec])

    async def write(self, services: Services, job: WriteDigest) -> Outcome | None:
        self.begun.append(job.digest_id)
        if not self.outcomes:
            return None
        match self.outcomes.pop(0):
            case Exception() as error:
                raise error
            case Gate() as gate:
                await gate.passed()
                return None
            case outcome:
                return outcome

    @asynccontextmanager
    async def opened(self, *, serving: bool = True) -> AsyncIterator[Process]:
        duties: tuple[Duty, ...] = ("background",) if serving else ()
        lanes = Lanes(registry=self.registry)
        on = structs.replace(self.on, queue=lanes, local=lanes)
        async with run_process(on, lanes, duties, registry=self.registry) as process:
            self.lanes = lanes
            self.sweeper = Sweeper(
                services=process.services, queue=lanes, local=lanes, worker_id=on.worker_id, registry=self.registry,
                timer=self.watch,
            )  # fmt: skip
            yield process

    async def add(self, name: str = "d") -> None:
        row = Digest(digest_id=name, tenant_id="tnt", status="queued", created_at="2027")
        await self.tables.commit(insert(DIGESTS, self.executions.make_scheduled_row(row)))

    async def begin(self, gate: Gate) -> None:
        """Work is added, found and begun; it stands at the gate."""
        self.outcomes.append(gate)
        await self.add()
        await self.sweep()
        await gate.reached.wait()

    async def row(self, name: str = "d") -> Digest:
        return await self.tables.get(DIGESTS, name)

    async def sweep(self, seconds: float = 0.0) -> None:
        """As time goes by: a look every five seconds."""
        for _ in range(max(1, round(seconds / 5))):
            self.clock.now += seconds and 5
            self.watch.now += seconds and 5
            await self.sweeper.recover_lost_jobs()


def here(name: str = "w1", like: Here | None = None) -> Here:
    clock, store = (like.clock, like.on.tables) if like else (MovableClock(), MemoryTables())
    assert isinstance(store, MemoryTables)
    return Here(name, store, clock)


async def test_what_waits_is_found_by_the_sweeper_and_done() -> None:
    one = here()
    async with one.opened():
        await one.add()
        await one.sweep()
        await one.lanes.wait_until_idle()
        row = await one.row()
        assert (row.status, row.fence, row.worker_id, row.dispatch) == ("completed", 1, "w1", None)
        assert row.completed_at


async def test_what_a_dead_worker_had_is_taken_over_and_nothing_that_one_does_counts() -> None:
    one, gate = here(), Gate()
    two = here("w2", like=one)
    async with one.opened(), two.opened():
        await one.begin(gate)
        await two.sweep(55)
        assert ((await one.row()).worker_id, two.begun) == ("w1", [])
        await two.sweep(20)
        await two.lanes.wait_until_idle()
        row = await two.row()
        assert (row.status, row.worker_id, row.fence, row.deaths) == ("completed", "w2", 2, 1)
        gate.opened.set()
        await one.lanes.wait_until_idle()
        assert await two.row() == row


async def test_a_hint_that_waits_here_keeps_no_dead_workers_work_from_being_seen() -> None:
    one, gate = here(), Gate()
    two = here("w2", like=one)
    async with one.opened(), two.opened(serving=False):
        await one.begin(gate)
        await two.lanes.enqueue_job(WriteDigest(digest_id="d"), key="d")
        await two.sweep(75)
        assert ((await one.row()).status, (await one.row()).deaths) == ("queued", 1)
        gate.opened.set()
        await one.lanes.wait_until_idle()


async def test_a_worker_that_shows_life_keeps_what_it_has_and_hears_that_it_is_to_stop() -> None:
    one, gate = here(), Gate()
    two = here("w2", like=one)
    async with one.opened(), two.opened():
        await one.begin(gate)
        for _ in range(20):
            await two.sweep(10)
            await one.on.heartbeat.beat()  # type: ignore[attr-defined]  # that of tests
        assert ((await one.row()).fence, two.begun) == (1, [])
        await two.tables.commit(two.executions.make_control_write(await two.row(), "stopped"))
        await one.on.heartbeat.beat()  # type: ignore[attr-defined]  # that of tests
        await one.lanes.wait_until_idle()
        assert ((await one.row()).status, gate.opened.is_set()) == ("cancelled", False)


async def test_what_is_paused_lies_still_until_it_is_wanted_again() -> None:
    one, gate = here(), Gate()
    async with one.opened():
        await one.begin(gate)
        for control, status in (("paused", "queued"), ("running", "completed")):
            asked = one.executions.make_control_write(row := await one.row(), control)  # type: ignore[arg-type]  # a control
            await one.tables.commit(asked)
            one.executions.track_control_request(one.executions.apply_write_to_row(row, asked))
            await one.lanes.wait_until_idle()
            await one.sweep(60)
            await one.lanes.wait_until_idle()
            assert ((await one.row()).status, (await one.row()).control_status) == (status, control)


async def test_what_fails_is_tried_again_after_a_pause_and_given_up_after_its_attempts() -> None:
    one = here()
    async with one.opened():
        one.outcomes += [Unavailable("away"), ValueError("a bug"), TimeoutError()]
        await one.add()
        for seconds, status in ((0, "queued"), (0, "queued"), (10, "queued"), (10, "failed")):
            await one.sweep(seconds)
            await one.lanes.wait_until_idle()
            assert (await one.row()).status == status
        row = await one.row()
        assert (len(one.begun), row.deaths, row.error_message) == (3, 3, "timed out")


async def test_what_is_refused_for_good_fails_at_once_and_what_is_put_off_comes_again() -> None:
    one = here()
    async with one.opened():
        one.outcomes += [Outcome(verb="snooze", seconds=60), InvalidInput("no such digest")]
        await one.add()
        for seconds, begun in ((0, 1), (50, 1), (15, 2)):
            await one.sweep(seconds)
            await one.lanes.wait_until_idle()
            assert len(one.begun) == begun
        row = await one.row()
        assert (row.status, row.error_message) == ("failed", "no such digest")


async def test_what_is_under_way_when_its_process_ends_is_had_by_the_next_one() -> None:
    one, gate = here(), Gate()
    two = here("w2", like=one)
    async with one.opened():
        await one.begin(gate)
        await one.lanes.drain_jobs(0)
        row = await one.row()
        assert (row.status, row.worker_id, row.deaths) == ("queued", None, 0)
    async with two.opened():
        await two.sweeper.recover_jobs_at_start(alone=True)
        await two.lanes.wait_until_idle()
        assert ((await two.row()).status, (await two.row()).deaths) == ("completed", 0)


async def test_many_hints_of_one_piece_of_work_do_it_once() -> None:
    one = here()
    two = here("w2", like=one)
    async with one.opened(), two.opened():
        await one.add()
        job = WriteDigest(digest_id="d")
        await asyncio.gather(*(some.lanes.enqueue_job(job, key=f"{n}") for n in range(5) for some in (one, two)))
        await one.lanes.wait_until_idle()
        await two.lanes.wait_until_idle()
        assert ((await one.row()).status, len(one.begun + two.begun)) == ("completed", 1)
