"""A store as the release before left it, and its migration: in this process, or as a process that kills itself at a moment."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nexus.adapters.sqlite.tables import SqliteTables
from nexus.adapters.sqlite.writer import Writer
from nexus.composition.stores import MIGRATIONS
from nexus.domain.core.instants import system_clock
from nexus.domain.core.principal import Principal
from nexus.domain.migrations.service import MigrationPace, Migrations
from nexus.domain.migrations.tables import MIGRATION_RUNS
from nexus.domain.ports.database import TableDriver, Tables
from nexus.domain.ports.rows import Table, insert
from nexus.domain.tallies.model import NOW, TOTAL, Tally
from nexus.domain.tallies.service import Tallies
from nexus.domain.tallies.tables import TALLIES
from tests.contracts.stored import LINES
from tests.fakes.dying import DyingTables

STORED: list[Table[Any]] = [TALLIES, MIGRATION_RUNS, LINES]
DAYS = ("2026-11-30", "2026-12-01")
OLD = tuple(
    Tally(tenant_id=tenant_id, day=day, messages=10 + number, agents=-number, builds_active=int(day == NOW))
    for number, tenant_id in enumerate(("tnt_a", "tnt_b"))
    for day in (*DAYS, NOW, TOTAL)
)


def make_tables(driver: TableDriver) -> Tables:
    return Tables(driver, secret=b"s", clock=system_clock)


def make_migrations(driver: TableDriver, worker_id: str = "w1", *, poll: float = 1.0, **changed: Any) -> Migrations:
    """A few rows a page, so that there are many."""
    pace = MigrationPace(page_rows=3, poll=poll)
    return Migrations(driver, MIGRATIONS, worker_id=worker_id, pace=pace, **changed)


async def write_old_rows(driver: TableDriver) -> None:
    await make_tables(driver).commit(*(insert(TALLIES, row) for row in OLD))


async def read_sums(driver: TableDriver) -> list[Tally]:
    """What users see of every tenant, and the row that is never sharded."""
    tables, seen = make_tables(driver), list[Tally]()
    tallies = Tallies(tables=tables, clock=system_clock)
    for tenant_id in sorted({row.tenant_id for row in OLD}):
        caller = Principal(tenant_id, "usr_x", "X")
        seen += await tallies.list_daily_tallies(caller, *DAYS)
        seen += [await tables.get(TALLIES, tenant_id, NOW), await tallies.read_total_tally(caller)]
    return seen


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator[SqliteTables]:
    writer = Writer(path)
    await writer.open()
    driver = SqliteTables(writer, STORED)
    await driver.open()
    try:
        yield driver
    finally:
        driver.close()
        await writer.close()


async def migrate_and_die(path: Path, at: int) -> None:
    async with open_sqlite(path) as driver:
        dying = DyingTables(driver, at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        await make_migrations(dying, str(os.getpid())).apply_pending_migrations(alone=True)


if __name__ == "__main__":
    asyncio.run(migrate_and_die(Path(sys.argv[1]), int(sys.argv[2])))
