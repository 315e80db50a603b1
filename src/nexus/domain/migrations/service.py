"""Brings the rows of a store that an earlier release wrote into the present shape: each migration once, in order, never back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from msgspec import Struct, structs

from nexus.domain.core.errors import AlreadyExists, Conflict, Stale
from nexus.domain.core.instants import Clock, format_instant, system_clock
from nexus.domain.migrations.model import SCOPE, Migration, MigrationRun
from nexus.domain.migrations.tables import MIGRATION_RUNS
from nexus.domain.ports.database import PAGE_LIMIT, TableDriver, Tables, Window
from nexus.domain.ports.rows import insert, patch

logger = structlog.get_logger()


class MigrationPace(Struct, frozen=True, kw_only=True):
    """A run that has not changed for `lease` seconds is a dead process' own; who waits for it looks every `poll` seconds."""

    lease: float = 30.0
    poll: float = 1.0
    page_rows: int = PAGE_LIMIT


class Migrations:
    """`timer`: seconds of this process, which no wall clock can hurry."""

    def __init__(
        self,
        driver: TableDriver,
        migrations: Sequence[Migration],
        *,
        worker_id: str,
        clock: Clock = system_clock,
        pace: MigrationPace = MigrationPace(),
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._tables = Tables(driver, secret=b"migrations", clock=clock)  # whoever goes on opens the cursors
        self._migrations, self._worker_id, self._clock = migrations, worker_id, clock
        self._pace, self._timer, self._sleep = pace, timer, sleep

    async def list_pending_migrations(self) -> list[Migration]:
        """Those that are not applied. Conflict when a later release was here."""
        runs = {run.number: run async for run in self._tables.each(MIGRATION_RUNS, SCOPE)}
        if unknown := [run.title for number, run in runs.items() if number > self._migrations[-1].number]:
            raise Conflict(f"A later release of nexus has changed this store ({', '.join(unknown)}): use that one.")
        applied = {number for number, run in runs.items() if run.applied_at}
        return [migration for migration in self._migrations if migration.number not in applied]

    async def apply_pending_migrations(self, *, alone: bool = False) -> list[str]:
        """The titles of those that this process brought to their end. `alone`: nobody else works on this store, so whoever began is dead."""
        applied = list[str]()
        for migration in await self.list_pending_migrations():
            if run := await self._claim_run(migration, alone=alone):
                await self._apply_migration(migration, run)
                applied.append(migration.title)
                logger.info("store.migrated", migration=migration.title)
        return applied

    async def record_new_store(self) -> None:
        """A store without rows needs no migration."""
        now = format_instant(self._clock())
        for migration in await self.list_pending_migrations():
            run = MigrationRun(number=migration.number, name=migration.name, started_at=now, applied_at=now)
            await self._tables.commit(insert(MIGRATION_RUNS, run))

    async def _apply_migration(self, migration: Migration, run: MigrationRun) -> None:
        """Conflict when another process took it over meanwhile."""
        while not run.applied_at:
            window = Window(limit=self._pace.page_rows, cursor=run.cursor)
            cursor = await migration.migrate_page(self._tables, window)
            end = None if cursor else format_instant(self._clock())
            worker_id = run.worker_id if cursor else None
            try:
                run = await self._save_run(run, cursor=cursor, worker_id=worker_id, applied_at=end)
            except Stale:
                raise Conflict(f"Another process has taken over {migration.title}.") from None

    async def _claim_run(self, migration: Migration, *, alone: bool) -> MigrationRun | None:
        """The run in the hands of this process, once nobody else is at it; None when it was brought to its end meanwhile."""
        run = await self._find_or_start_run(migration)
        if is_taken := run.worker_id != self._worker_id and not run.applied_at and not alone:
            logger.info("migration.waits", migration=run.title, worker_id=run.worker_id)
        while run.worker_id != self._worker_id and not run.applied_at:
            if is_taken and (now := await self._wait_for_change(run)).revision != run.revision:
                run = now
                continue
            try:
                return await self._save_run(run, worker_id=self._worker_id)
            except Stale:  # it lives after all, or another one was faster
                run = await self._find_or_start_run(migration)
        return None if run.applied_at else run

    async def _wait_for_change(self, seen: MigrationRun) -> MigrationRun:
        """The run when it has changed, or as it was for the whole lease."""
        since, now = self._timer(), seen
        while now.revision == seen.revision and self._timer() - since < self._pace.lease:
            await self._sleep(self._pace.poll)
            now = await self._tables.get(MIGRATION_RUNS, seen.scope, seen.number)
        return now

    async def _find_or_start_run(self, migration: Migration) -> MigrationRun:
        if found := await self._tables.find(MIGRATION_RUNS, SCOPE, migration.number):
            return found
        run = MigrationRun(
            number=migration.number,
            name=migration.name,
            worker_id=self._worker_id,
            started_at=format_instant(self._clock()),
        )
        try:
            await self._tables.commit(insert(MIGRATION_RUNS, run))
        except AlreadyExists:
            return await self._tables.get(MIGRATION_RUNS, SCOPE, migration.number)
        return run

    async def _save_run(self, run: MigrationRun, **fields: object) -> MigrationRun:
        await self._tables.commit(patch(MIGRATION_RUNS, run, **fields))
        return structs.replace(run, revision=run.revision + 1, **fields)
