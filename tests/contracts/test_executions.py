"""What the engine of durable work promises, over every store: one has a row, who lost it writes nothing, and what is wanted is heard."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import Stale, Unavailable
from nexus.domain.core.instants import parse_instant
from nexus.domain.ports.database import Tables
from nexus.domain.ports.heartbeat import Lease
from nexus.domain.ports.rows import Index, Table, Write, insert
from nexus.domain.tasks.execution import Executions, LeaseLost, LeaseRow, LeaseTable, LeaseTimes
from tests.contracts.conftest import DYNOXIDE, dynamodb_tables, find_dynamodb_url, sqlite_tables
from tests.contracts.stored import Clock
from tests.fakes.heartbeat import MemoryHeartbeat

LEASE_SECONDS, ANSWER_SECONDS = LeaseTimes().lease, LeaseTimes().answer


class Errand(LeaseRow, frozen=True, kw_only=True):
    errand_id: str
    note: str = ""


ERRANDS = Table(
    "errands", Errand, ("errand_id",), indexes=(Index("DispatchIndex", "dispatch", "due_at", keys_only=True),)
)
QUEUED = LeaseTable(
    ERRANDS, places={"running": ("running#0", "running#1"), "queued": ("queued#0",), "pending": ("held",)}
)
ONE_STATUS = LeaseTable(ERRANDS, places={"running": ("work",)}, waiting="running")


class Timer:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """Rows of one table as two processes see them."""

    def __init__(self, tables: Tables, clock: Clock, leases: LeaseTable[Errand] = QUEUED) -> None:
        self.tables, self.clock, self.timer, self._leases = tables, clock, Timer(), leases
        self.one, self.other = self.process(), self.process()

    def process(self) -> Executions[Errand]:
        return Executions(
            self._leases, tables=self.tables, clock=self.clock, heartbeat=MemoryHeartbeat(), timer=self.timer
        )

    async def add(self, name: str = "a", status: str = "queued", worker_id: str | None = None) -> Errand:
        row = self.one.make_scheduled_row(
            Errand(errand_id=name, tenant_id="t1", status=status, created_at="2096"), worker_id=worker_id
        )
        await self.tables.commit(insert(ERRANDS, row))
        return await self.row(name)

    async def row(self, name: str = "a") -> Errand:
        return await self.tables.get(ERRANDS, name)

    async def does(self, write: Write) -> Errand:
        await self.tables.commit(write)
        return await self.row(str(write.key[0]))

    async def refuses(self, write: Write) -> bool:
        """And nothing changes."""
        before = await self.row(str(write.key[0]))
        with pytest.raises(Stale):
            await self.tables.commit(write)
        return await self.row(str(write.key[0])) == before


@pytest.fixture(params=["memory", "sqlite", DYNOXIDE])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    clock, stored = Clock(), list[Table[Any]]([ERRANDS])
    async with AsyncExitStack() as stack:
        driver: Any = MemoryTables()
        if request.param == "sqlite":
            driver = await stack.enter_async_context(sqlite_tables(tmp_path / "nexus.db", stored))
        elif request.param != "memory":
            client, prefix = await stack.enter_async_context(dynamodb_tables(find_dynamodb_url(request), stored))
            driver = DynamoTables(client, prefix=prefix)
        yield Desk(Tables(driver, secret=b"s" * 32, clock=clock), clock)


def plain_desk(leases: LeaseTable[Errand] = QUEUED, driver: Any = None) -> Desk:
    clock = Clock()
    return Desk(Tables(driver or MemoryTables(), secret=b"s" * 32, clock=clock), clock, leases)


async def names(found: Awaitable[list[Errand]]) -> list[str]:
    return sorted(row.errand_id for row in await found)


async def test_of_many_who_claim_one_has_it(desk: Desk) -> None:
    row = await desk.add()
    claims = [desk.one.make_claim_write(row, f"w{number}") for number in range(5)]
    done = await asyncio.gather(*map(desk.tables.commit, claims), return_exceptions=True)
    assert [type(one) for one in done if one is not None] == [Stale] * 4
    row = await desk.row()
    assert (row.status, row.fence, row.worker_id) == ("running", 1, f"w{done.index(None)}")
    with pytest.raises(LeaseLost):
        desk.other.make_claim_write(row, "w9")


async def test_the_row_after_a_write_is_the_row_that_is_stored(desk: Desk) -> None:
    row = await desk.add()
    verbs: list[Callable[[Errand], Write]] = [
        lambda row: desk.one.make_claim_write(row, "w1", note="mine"),
        lambda row: desk.one.make_snooze_write(row, 20),
        lambda row: desk.one.make_control_write(row, "stopped"),
        lambda row: desk.one.make_status_write(row, "failed"),
    ]
    for verb in verbs:
        expected = desk.one.apply_write_to_row(row, verb(row))
        row = await desk.does(verb(row))
        stored = {
            name: getattr(row, name)
            for name in row.__struct_fields__
            if name not in ("due_at", "not_before", "completed_at")
        }
        assert stored == {name: getattr(expected, name) for name in stored}
    assert (row.dispatch, row.due_at) == (None, None)


async def test_who_was_replaced_writes_nothing(desk: Desk) -> None:
    old = await desk.does(desk.one.make_claim_write(await desk.add(), "w1"))
    new = await desk.does(desk.other.make_takeover_write(old, "w2"))
    assert (new.fence, new.worker_id, new.deaths) == (2, "w2", 1)
    late = [
        desk.one.make_release_write(old),
        desk.one.make_snooze_write(old, 5),
        desk.one.make_status_write(old, "completed"),
        desk.one.make_guard_write(old),
    ]
    for write in late:
        assert await desk.refuses(write)
    assert await desk.one.renew_leases([desk.one.make_lease(old), desk.other.make_lease(new)]) == [None, "running"]
    await desk.tables.commit(desk.other.make_guard_write(new))


async def test_what_shows_life_meanwhile_is_not_taken_over(desk: Desk) -> None:
    row = await desk.does(desk.one.make_claim_write(await desk.add(), "w1"))
    seen = await desk.row()
    desk.clock.now += LEASE_SECONDS / 2
    assert await desk.one.renew_leases([desk.one.make_lease(row)]) == ["running"]
    assert await desk.refuses(desk.other.make_takeover_write(seen, "w2"))


async def test_what_a_worker_dropped_itself_is_no_death(desk: Desk) -> None:
    row = await desk.does(desk.one.make_claim_write(await desk.add(), "w1"))
    assert (await desk.does(desk.one.make_takeover_write(row, "w1"))).deaths == 0


async def test_a_renewal_brings_what_is_wanted_and_writes_once_a_third_of_the_lease(desk: Desk) -> None:
    rows = [await desk.does(desk.one.make_claim_write(await desk.add(name), "w1")) for name in ("a", "b")]
    leases = [desk.one.make_lease(row) for row in rows]
    await desk.does(desk.other.make_control_write(rows[1], "stopped"))
    for seconds, beats in ((1, 0), (4, 0), (6, 1), (5, 1), (6, 2)):
        desk.clock.now += seconds
        assert await desk.one.renew_leases([*leases, Lease(("gone",), 1)]) == ["running", "stopped", None]
        assert (await desk.row()).heartbeat == beats
    due = (await desk.row()).due_at
    assert due is not None
    assert LEASE_SECONDS * 2 / 3 < parse_instant(due) - desk.clock.now <= LEASE_SECONDS


async def test_a_clock_that_was_set_back_or_forward_keeps_no_sign_of_life_from_being_given() -> None:
    desk = plain_desk()
    lease = desk.one.make_lease(await desk.does(desk.one.make_claim_write(await desk.add(), "w1")))
    beats = list[int]()
    for seconds in (4, -3600, 4, 4, 4, 3600):
        desk.clock.now += seconds
        await desk.one.renew_leases([lease])
        beats.append((await desk.row()).heartbeat)
    assert beats == [0, 1, 1, 1, 2, 3]


async def test_what_is_wanted_of_waiting_work_keeps_it_from_being_claimed(desk: Desk) -> None:
    paused = await desk.does(desk.one.make_control_write(await desk.add(), "paused"))
    assert (paused.dispatch, paused.due_at) == (None, None)
    with pytest.raises(LeaseLost):
        desk.one.make_claim_write(paused, "w1")
    again = await desk.does(desk.one.make_control_write(paused, "running"))
    assert again.dispatch == "queued#0"
    assert (await desk.does(desk.one.make_claim_write(again, "w1"))).fence == 1


async def test_what_is_put_off_is_not_claimed_before_and_not_looked_at_before(desk: Desk) -> None:
    row = await desk.does(desk.one.make_claim_write(await desk.add(), "w1"))
    row = await desk.does(desk.one.make_snooze_write(row, 60))
    assert (row.status, row.worker_id, await names(desk.other.list_due_rows())) == ("queued", None, [])
    with pytest.raises(LeaseLost):
        desk.other.make_claim_write(row, "w2")
    desk.clock.now += 61
    assert await names(desk.other.list_due_rows()) == ["a"]
    assert (await desk.does(desk.other.make_claim_write(row, "w2"))).not_before is None


async def test_what_is_due_is_what_waits_and_what_gave_no_sign_of_life_for_a_lease(desk: Desk) -> None:
    for name in ("waits", "runs", "silent", "over"):
        await desk.add(name)
    await desk.does(desk.one.make_claim_write(await desk.row("silent"), "w1"))
    await desk.does(desk.one.make_status_write(await desk.row("over"), "completed"))
    desk.clock.now += LEASE_SECONDS + 1
    await desk.does(desk.one.make_claim_write(await desk.row("runs"), "w1"))
    assert await names(desk.other.list_due_rows()) == ["silent", "waits"]
    assert await names(desk.other.list_unfinished_rows()) == ["runs", "silent", "waits"]
    assert await names(desk.other.list_unfinished_rows("queued")) == ["waits"]


async def test_what_was_put_off_under_a_clock_that_ran_ahead_is_looked_at_and_claimed(desk: Desk) -> None:
    row = await desk.does(desk.one.make_claim_write(await desk.add(), "w1"))
    desk.clock.now += 86_400
    row = await desk.does(desk.one.make_snooze_write(row, 60))
    desk.clock.now -= 86_400
    assert await names(desk.other.list_due_rows()) == []
    await desk.other.reset_future_due_times()
    assert await names(desk.other.list_due_rows()) == ["a"]
    assert (await desk.does(desk.other.make_claim_write(await desk.row(), "w2"))).status == "running"


async def test_what_no_worker_answers_is_listed_until_it_is_done_in_its_place(desk: Desk) -> None:
    row = await desk.does(desk.one.make_claim_write(await desk.add(), "w1"))
    row = await desk.does(desk.other.make_control_write(row, "stopped"))
    desk.other.track_control_request(row)
    desk.timer.now += ANSWER_SECONDS - 1
    desk.other.track_control_request(row)
    assert await desk.other.list_unanswered_rows() == []
    desk.timer.now += 1
    assert await names(desk.other.list_unanswered_rows()) == await names(desk.other.list_unanswered_rows()) == ["a"]
    assert await desk.one.list_unanswered_rows() == []
    await desk.does(desk.other.make_status_write(row, "cancelled"))
    assert await desk.other.list_unanswered_rows() == []


async def test_another_request_has_seconds_of_its_own_and_one_taken_back_has_none() -> None:
    desk = plain_desk()
    row = await desk.does(desk.one.make_claim_write(await desk.add(), "w1"))
    for control, seconds, listed in (("paused", 3, []), ("running", 0, []), ("paused", 3, []), ("stopped", 3, []), ("stopped", 2, ["a"])):  # fmt: skip
        row = await desk.does(desk.one.make_control_write(row, control))  # type: ignore[arg-type]  # a control
        desk.one.track_control_request(row)
        desk.timer.now += seconds
        assert await names(desk.one.list_unanswered_rows()) == listed, control


async def test_work_that_waits_and_runs_in_one_status_is_had_by_its_worker() -> None:
    desk = plain_desk(ONE_STATUS)
    row = await desk.add(status="running", worker_id="w1")
    assert (row.fence, desk.one.is_row_running(row), desk.one.is_row_waiting(row)) == (1, True, False)
    with pytest.raises(LeaseLost):
        desk.other.make_claim_write(row, "w2")
    row = await desk.does(desk.one.make_release_write(row))
    assert (row.status, desk.one.is_row_running(row), desk.one.is_row_waiting(row)) == ("running", False, True)
    with pytest.raises(LeaseLost):
        desk.other.make_takeover_write(row, "w2")
    assert await names(desk.other.list_due_rows()) == ["a"]
    row = await desk.does(desk.other.make_claim_write(row, "w2"))
    assert (row.fence, row.worker_id, row.deaths) == (2, "w2", 0)


async def test_a_worker_hears_at_once_what_is_asked_through_its_own_process() -> None:
    desk = plain_desk()
    row, heard = await desk.does(desk.one.make_claim_write(await desk.add(), "w1")), list[str | None]()
    desk.one.start_lease_renewal(row, heard.append)
    row = await desk.does(desk.one.make_control_write(row, "paused"))
    desk.one.track_control_request(row)
    assert (heard, desk.one.is_row_leased_here(row), desk.other.is_row_leased_here(row)) == (["paused"], True, False)
    desk.one.stop_lease_renewal(row)
    desk.one.track_control_request(row)
    assert (heard, desk.one.is_row_leased_here(row)) == (["paused"], False)


async def test_a_worker_hears_by_its_heartbeat_what_is_asked_elsewhere_and_that_it_lost_its_work() -> None:
    desk, heartbeat, heard = plain_desk(), MemoryHeartbeat(), list[str | None]()
    one = Executions(QUEUED, tables=desk.tables, clock=desk.clock, heartbeat=heartbeat)
    row = await desk.does(one.make_claim_write(await desk.add(), "w1"))
    one.start_lease_renewal(row, heard.append)
    await desk.does(desk.other.make_control_write(row, "stopped"))
    await heartbeat.beat()
    await desk.does(desk.other.make_takeover_write(await desk.row(), "w2"))
    await heartbeat.beat()
    assert (heard, one.is_row_leased_here(row), heartbeat.held) == (["stopped", None], False, {})


async def test_a_sign_of_life_that_fails_keeps_no_other_from_being_given() -> None:
    class Failing(MemoryTables):
        async def write_rows(self, writes: Any) -> None:
            if writes[0].key == ("a",) and writes[0].verb == "patch" and "heartbeat" in writes[0].fields:
                raise Unavailable("The store is away.")
            await super().write_rows(writes)

    desk = plain_desk(driver=Failing())
    leases = [
        desk.one.make_lease(await desk.does(desk.one.make_claim_write(await desk.add(name), "w1")))
        for name in ("a", "b")
    ]
    desk.clock.now += 20
    with capture_logs() as entries:
        assert await desk.one.renew_leases(leases) == ["running", "running"]
    assert [entry["event"] for entry in entries] == ["lease.not_renewed"]
    assert ((await desk.row("a")).heartbeat, (await desk.row("b")).heartbeat) == (0, 1)
