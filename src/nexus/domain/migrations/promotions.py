"""Copies all rows of a store into an empty one, and compares two stores. It goes on where it was killed: how far it came is recorded in the
target, together with what is copied and from where."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct, structs

from nexus.domain.core.errors import Conflict, InvalidInput
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.instants import Clock, format_instant, system_clock
from nexus.domain.migrations.model import PROMOTION, MigrationRun
from nexus.domain.migrations.tables import MIGRATION_RUNS
from nexus.domain.ports.database import BulkTableDriver, TableDriver, Tables, Window
from nexus.domain.ports.rows import Item, Table, delete, insert, patch

PAGE_ROWS = 50
SOON = 3600.0
"""Rows that are past their time, or will be within so many seconds, are copied and not compared: DynamoDB deletes them when it likes."""
_SECRET = b"promotion"
"""Seals nothing from anybody: who goes on opens the cursors."""


class PromotionProgress(Struct, frozen=True):
    """All tables before this one are copied, and of it what comes before the cursor. None: all are copied."""

    table: str | None
    cursor: str | None = None


class TableSummary(Struct, frozen=True):
    """`sha256`: of all rows, in whatever order. `expiring`: how many were left out of both numbers, since their time is over."""

    rows: int
    sha256: str
    expiring: int


class TableComparison(Struct, frozen=True):
    table: str
    source: TableSummary
    target: TableSummary

    @property
    def is_equal(self) -> bool:
        return (self.source.rows, self.source.sha256) == (self.target.rows, self.target.sha256)


def make_store_tables(driver: TableDriver, clock: Clock = system_clock) -> Tables:
    return Tables(driver, secret=_SECRET, clock=clock)


async def find_unfinished_promotion(driver: TableDriver) -> MigrationRun | None:
    """The one that goes on into this store: so it lacks rows."""
    return await make_store_tables(driver).find(MIGRATION_RUNS, PROMOTION, 0)


async def check_no_promotion(driver: TableDriver) -> None:
    """Conflict where rows are still to come."""
    if run := await find_unfinished_promotion(driver):
        raise Conflict(f"This store lacks rows: the promotion {run.name} is not finished. Run `nexus promote` again.")


class Promotion:
    """`name`: what is copied to where; only the same one goes on. `report_rows` hears of each page how many rows of a table are copied by
    this process."""

    def __init__(
        self,
        source: TableDriver,
        target: BulkTableDriver,
        tables: Sequence[Table[Any]],
        *,
        name: str,
        report_rows: Callable[[str, int], None],
        clock: Clock = system_clock,
    ) -> None:
        self._from, self._to = make_store_tables(source, clock), make_store_tables(target, clock)
        self._target, self._tables, self._name = target, tables, name
        self._report_rows, self._clock = report_rows, clock

    async def has_started(self) -> bool:
        """Conflict when another promotion goes on into the target."""
        if (run := await find_unfinished_promotion(self._target)) and run.name != self._name:
            raise Conflict(f"The target is that of another promotion, {run.name}: end that one, or empty the target.")
        return run is not None

    async def start(self) -> None:
        """Conflict when the target has rows. From now on it is only for this promotion, and no server starts there."""
        tables = [
            table for table in self._tables if table is not MIGRATION_RUNS
        ]  # a new store has a record of its release
        if filled := [table.name for table in tables if await has_rows(self._to, table)]:
            raise Conflict(
                f"The target is not empty: there are rows in {', '.join(filled)}. With --verify the stores are only compared."
            )
        first = msgspec.json.encode(PromotionProgress(self._tables[0].name)).decode()
        now = format_instant(self._clock())
        run = MigrationRun(scope=PROMOTION, number=0, name=self._name, cursor=first, started_at=now)
        hit_failpoint("before:promotion.mark")
        await self._to.commit(insert(MIGRATION_RUNS, run))
        hit_failpoint("after:promotion.mark")

    async def copy_rows(self) -> None:
        """From where it stands. InvalidInput for what the target cannot hold."""
        run = await self._to.get(MIGRATION_RUNS, PROMOTION, 0)
        progress = msgspec.json.decode(run.cursor or b"", type=PromotionProgress)
        names = [table.name for table in self._tables]
        for table in self._tables[names.index(progress.table) :] if progress.table else ():
            run = await self._copy_table(table, run)

    async def compare_stores(self) -> list[TableComparison]:
        before, compared = self._clock() + SOON, list[TableComparison]()
        for table in self._tables:
            source, target = await asyncio.gather(
                *(summarize_table(tables, table, before=before) for tables in (self._from, self._to))
            )
            compared.append(TableComparison(table.name, source, target))
        return compared

    async def remove_mark(self) -> None:
        """From now on servers may start there."""
        run = await self._to.get(MIGRATION_RUNS, PROMOTION, 0)
        hit_failpoint("before:promotion.end")
        await self._to.commit(delete(MIGRATION_RUNS, run))
        hit_failpoint("after:promotion.end")

    async def _copy_table(self, table: Table[Any], run: MigrationRun) -> MigrationRun:
        progress, rows = msgspec.json.decode(run.cursor or b"", type=PromotionProgress), 0
        while progress.table == table.name:
            page = await self._from.walk_items(table, Window(limit=PAGE_ROWS, cursor=progress.cursor))
            await self._put_items(table, [item for item in page.items if not _is_mark(table, item)])
            rows += len(page.items)
            self._report_rows(table.name, rows)
            progress = PromotionProgress(table.name, page.cursor) if page.cursor else self._find_next_table(table)
            run = await self._save_progress(run, progress)
        return run

    async def _put_items(self, table: Table[Any], items: Sequence[Item]) -> None:
        hit_failpoint("before:promotion.page", about=table.name)
        try:
            await self._target.put_rows(table, items)
        except InvalidInput as error:
            raise InvalidInput(f"A row of {table.name} cannot be copied. {error.detail}", table=table.name) from error
        hit_failpoint("after:promotion.page", about=table.name)

    async def _save_progress(self, run: MigrationRun, progress: PromotionProgress) -> MigrationRun:
        cursor = msgspec.json.encode(progress).decode()
        hit_failpoint("before:promotion.cursor", about=progress.table or "")
        await self._to.commit(patch(MIGRATION_RUNS, run, cursor=cursor))
        hit_failpoint("after:promotion.cursor", about=progress.table or "")
        return structs.replace(run, cursor=cursor, revision=run.revision + 1)

    def _find_next_table(self, table: Table[Any]) -> PromotionProgress:
        names = [*(one.name for one in self._tables), None]
        return PromotionProgress(names[names.index(table.name) + 1])


async def has_rows(tables: Tables, table: Table[Any]) -> bool:
    return bool((await tables.walk_items(table, Window(limit=1))).items)


async def summarize_table(tables: Tables, table: Table[Any], *, before: float) -> TableSummary:
    """Reads all rows, a page at a time."""
    total, counts, cursor, has_more = 0, [0, 0], None, True
    while has_more:
        page = await tables.walk_items(table, Window(limit=PAGE_ROWS, cursor=cursor))
        for item in page.items:
            if _is_mark(table, item):
                continue
            is_expiring = bool(table.expires and item[table.expires] <= before)
            counts[is_expiring] += 1
            total += 0 if is_expiring else _hash_item(item)
        cursor, has_more = page.cursor, page.cursor is not None
    return TableSummary(counts[0], f"{total % 2**256:064x}", counts[1])


def _is_mark(table: Table[Any], item: Item) -> bool:
    return table is MIGRATION_RUNS and item["scope"] == PROMOTION


def _hash_item(item: Item) -> int:
    """The sum of those of many rows is the same in any order."""
    encoded = msgspec.json.encode(_unify_numbers(item), order="deterministic")
    return int.from_bytes(hashlib.sha256(encoded).digest())


def _unify_numbers(value: Any) -> Any:
    """DynamoDB knows one kind of numbers: 1.0 comes back as 1."""
    match value:
        case dict():
            return {key: _unify_numbers(part) for key, part in value.items()}
        case list():
            return [_unify_numbers(part) for part in value]
        case float() if value.is_integer():
            return int(Decimal(repr(value)))
    return value
