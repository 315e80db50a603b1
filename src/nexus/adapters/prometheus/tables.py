"""A store whose calls are counted, and what its writes say of the work in it."""

from collections.abc import Awaitable, Collection, Sequence
from time import perf_counter
from typing import Any, TypeVar

from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.domain.ports.database import Query, Refused, TableDriver
from nexus.domain.ports.rows import Item, Place, Write

T = TypeVar("T")


class MeteredTables:
    """A TableDriver in front of another one."""

    def __init__(self, driver: TableDriver, metrics: ProcessMetrics) -> None:
        self._driver, self._metrics = driver, metrics

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        return await self._measure_call("read", {table.name for table, _ in places}, self._driver.read_rows(places))

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        return await self._measure_call("query", (query.table.name,), self._driver.query_rows(query))

    async def write_rows(self, writes: Sequence[Write]) -> None:
        try:
            await self._measure_call("write", {write.table.name for write in writes}, self._driver.write_rows(writes))
        except Refused as refused:
            if is_fenced_off(write := writes[refused.at], refused.row):
                self._metrics.count_fenced_write(write.table.name)
            raise
        for write in writes:
            self._count_transition(write)

    async def _measure_call(self, operation: str, tables: Collection[str], call: Awaitable[T]) -> T:
        began, outcome = perf_counter(), "failed"
        try:
            result = await call
            outcome = "completed"
            return result
        except Refused:
            outcome = "refused"
            raise
        finally:
            self._metrics.observe_store_call(operation, tables, outcome, perf_counter() - began)

    def _count_transition(self, write: Write) -> None:
        if write.verb != "patch" or "status" not in (fields := write.fields):
            return
        if fields.get("completed_at"):
            self._metrics.count_ended_work(write.table.name, fields["status"])
        elif is_takeover(write):
            self._metrics.count_takeover(write.table.name)


def is_takeover(write: Write) -> bool:
    """Whether a lease goes from one worker to another (`Executions.make_takeover_write`)."""
    worker, before = write.fields.get("worker_id"), write.when.fields.get("worker_id", (None,))
    return bool(worker) and None not in before and worker not in before


def is_fenced_off(write: Write, row: Item | None) -> bool:
    """Whether a refused write belongs to a worker whose work another one has claimed since; a claim that came second is none."""
    expected = write.when.fields.get("fence")
    if row is None or expected is None or "fence" in write.fields:
        return False
    return bool(row["fence"] > max(int(fence or 0) for fence in expected))
