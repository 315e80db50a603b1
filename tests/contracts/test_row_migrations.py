"""Rows of the release before are brought into the present shape: whatever dies, and whoever reads and writes meanwhile, every sum is exact."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.adapters.memory.tables import MemoryTables
from nexus.composition.stores import MIGRATIONS
from nexus.domain.core.errors import Conflict
from nexus.domain.core.instants import system_clock
from nexus.domain.core.principal import Principal
from nexus.domain.migrations.model import MigrationRun
from nexus.domain.migrations.tables import MIGRATION_RUNS
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.ports.rows import insert, tally
from nexus.domain.tallies.model import NOW, TOTAL, Tally
from nexus.domain.tallies.service import Tallies
from nexus.domain.tallies.tables import TALLIES
from tests.contracts.conftest import DYNOXIDE, dynamodb_tables, find_dynamodb_url
from tests.contracts.migrating import (
    OLD,
    STORED,
    make_migrations,
    make_tables,
    open_sqlite,
    read_sums,
    write_old_rows,
)
from tests.contracts.stored import LINES, Line
from tests.fakes.dying import DyingTables

ROOT = Path(__file__).parents[2]
[TITLE] = [migration.title for migration in MIGRATIONS]


class KilledError(Exception):
    pass


def die() -> None:
    raise KilledError


class Seconds:
    """Time of a process that passes while it sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture(params=["memory", "sqlite", DYNOXIDE])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TableDriver]:
    """With the rows of the release before."""
    async with AsyncExitStack() as stack:
        driver: TableDriver = MemoryTables()
        if request.param == "sqlite":
            driver = await stack.enter_async_context(open_sqlite(tmp_path / "nexus.db"))
        elif request.param != "memory":
            client, prefix = await stack.enter_async_context(dynamodb_tables(find_dynamodb_url(request), STORED))
            driver = DynamoTables(client, prefix=prefix)
        await write_old_rows(driver)
        yield driver


async def list_days(driver: TableDriver) -> list[str]:
    """The days of all rows, as stored."""
    tables = make_tables(driver)
    tenants = sorted({row.tenant_id for row in OLD})
    return [row.day for tenant_id in tenants for row in [one async for one in tables.each(TALLIES, tenant_id)]]


async def test_what_was_counted_in_one_row_goes_into_shards_once(store: TableDriver) -> None:
    assert await read_sums(store) == list(OLD), "before it is migrated it is read as it is"
    migrations = make_migrations(store)
    assert [migration.title for migration in await migrations.list_pending_migrations()] == [TITLE]
    assert await migrations.apply_pending_migrations() == [TITLE]
    assert await read_sums(store) == list(OLD)
    days = await list_days(store)
    assert sorted(set(days)) == ["2026-11-30#00", "2026-12-01#00", NOW, f"{TOTAL}#00"]
    assert await make_migrations(store, "w2").apply_pending_migrations() == []
    assert await list_days(store) == days


async def test_killed_at_any_moment_it_is_gone_on_with_and_every_sum_is_exact(store: TableDriver) -> None:
    at, deaths = 0, 0
    while True:
        try:
            await make_migrations(DyingTables(store, at, die), f"w{at}").apply_pending_migrations(alone=True)
            break
        except KilledError:
            deaths += 1
            at = 0 if at > 3 else at + 1  # so that each resumption gets a little further, and some get nowhere
        assert await read_sums(store) == list(OLD)
        assert deaths < 500
    assert deaths > 20
    assert await read_sums(store) == list(OLD)
    assert all("#" in day or day == NOW for day in await list_days(store))


@pytest.mark.parametrize("at", range(24))
async def test_killed_at_each_moment_the_next_process_ends_it(at: int) -> None:
    store = MemoryTables()
    await write_old_rows(store)
    with pytest.raises(KilledError):
        await make_migrations(DyingTables(store, at, die), "w1").apply_pending_migrations()
    assert await read_sums(store) == list(OLD)
    seconds = Seconds()
    late = make_migrations(store, "w2", timer=seconds, sleep=seconds.sleep)
    assert await late.apply_pending_migrations() == [TITLE]
    assert (seconds.now >= 30) is (at > 0), "who holds a run that was begun is waited for a lease long"
    assert await read_sums(store) == list(OLD)
    assert all("#" in day or day == NOW for day in await list_days(store))


def test_kill_9_at_each_moment_loses_nothing_on_a_disk(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"

    async def prepare() -> None:
        async with open_sqlite(path) as driver:
            await write_old_rows(driver)

    async def look() -> list[Tally]:
        async with open_sqlite(path) as driver:
            return await read_sums(driver)

    asyncio.run(prepare())
    codes = list[int]()
    for moment in (0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 3, 5, 7, 9, 99):
        command = [sys.executable, "-m", "tests.contracts.migrating", str(path), str(moment)]
        codes.append(subprocess.run(command, cwd=ROOT, timeout=60, check=False, capture_output=True).returncode)
        assert asyncio.run(look()) == list(OLD)
    assert codes[0] == -9 and codes.count(-9) > 5
    assert codes[-1] == 0


class Crowd:
    """Processes of both releases that count in one store, and a reader that is never told less than was counted, nor more."""

    def __init__(self, driver: TableDriver) -> None:
        self.tables = Tables(driver, secret=b"s", clock=system_clock)
        self.tallies = Tallies(tables=self.tables, clock=system_clock)
        self.caller = Principal("tnt_a", "usr_x", "X")
        self.begun = self.done = sum(row.messages for row in OLD if (row.tenant_id, row.day) == ("tnt_a", TOTAL))
        self.is_over = False

    async def count(self, name: str, *, as_before: bool) -> None:
        number = 0
        while not self.is_over:
            number += 1
            fact = insert(LINES, Line(topic=name, position=number))
            counted = [tally(TALLIES, ("tnt_a", TOTAL), messages=1)]
            if not as_before:
                counted = self.tallies.make_tally_writes("tnt_a", messages=1)
            self.begun += 1
            await self.tables.commit(fact, *counted)
            self.done += 1
            await asyncio.sleep(0)

    async def read(self) -> int:
        reads = 0
        while not self.is_over:
            done = self.done
            seen = (await self.tallies.read_total_tally(self.caller)).messages
            assert done <= seen <= self.begun
            reads += 1
            await asyncio.sleep(0)
        return reads


async def test_processes_of_both_releases_count_and_read_while_it_is_migrated(store: TableDriver) -> None:
    crowd = Crowd(store)
    async with asyncio.TaskGroup() as group:
        for name in ("old", "new"):
            group.create_task(crowd.count(name, as_before=name == "old"))
        reading = group.create_task(crowd.read())
        for at in (5, 9, 12):
            with pytest.raises(KilledError):
                await make_migrations(DyingTables(store, at, die), f"w{at}").apply_pending_migrations(alone=True)
        last = make_migrations(DyingTables(store, -1, die))
        assert await last.apply_pending_migrations(alone=True) == [TITLE]
        crowd.is_over = True
    assert reading.result() > 3
    assert (await crowd.tallies.read_total_tally(crowd.caller)).messages == crowd.done == crowd.begun


async def test_of_two_that_migrate_one_does_and_the_other_waits_for_it(store: TableDriver) -> None:
    both = [make_migrations(store, name, poll=0.01) for name in ("w1", "w2")]
    done = await asyncio.gather(*(one.apply_pending_migrations() for one in both))
    assert sorted(done) == [[], [TITLE]]
    assert await read_sums(store) == list(OLD)


async def test_who_stood_still_for_a_lease_is_replaced_and_ends() -> None:
    store, seconds = MemoryTables(), Seconds()
    await write_old_rows(store)

    async def replace_me(tables: Tables, window: Any) -> str | None:
        other = make_migrations(store, "w2", timer=seconds, sleep=seconds.sleep)
        assert await other.apply_pending_migrations() == [TITLE]
        return await MIGRATIONS[0].migrate_page(tables, window)

    slow = make_migrations(store)
    slow._migrations = [structs.replace(MIGRATIONS[0], migrate_page=replace_me)]
    with pytest.raises(Conflict, match="taken over"):
        await slow.apply_pending_migrations()
    assert await read_sums(store) == list(OLD)


async def test_a_store_that_a_later_release_has_changed_is_left_alone(store: TableDriver) -> None:
    later = MigrationRun(number=9999, name="later", started_at="2099", applied_at=None)
    await make_tables(store).commit(insert(MIGRATION_RUNS, later))
    with pytest.raises(Conflict, match="9999_later"):
        await make_migrations(store).apply_pending_migrations()
    assert "total" in await list_days(store)


async def test_a_new_store_needs_no_migration() -> None:
    store = MemoryTables()
    await make_migrations(store).record_new_store()
    assert await make_migrations(store).list_pending_migrations() == []
