"""A driver of tables that counts what it is asked."""

import asyncio
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from msgspec import Struct

from nexus.domain.ports.database import Query, TableDriver
from nexus.domain.ports.rows import Item, Place, Scalar, Write

LATENCY = 5
"""Passes of the loop that a call takes, so that others may be made meanwhile."""

Operation = Literal["read", "query", "write"]


class Call(Struct, frozen=True):
    """`tables`: of each of its rows. `round_trip`: how many calls, each begun after the answer of another, led to this one. `callers`: the
    functions of the domain that wait for it, innermost last, where that is traced."""

    operation: Operation
    tables: Sequence[str]
    round_trip: int
    partition: Scalar | None = None
    callers: Sequence[str] = ()

    def __str__(self) -> str:
        return f"{self.operation} {', '.join(self.tables)}"


class CountingTables:
    """`calls` as they came; `is_tracing` keeps their callers."""

    def __init__(self, driver: TableDriver, *, is_tracing: bool = False) -> None:
        self._driver, self._is_tracing, self._answered = driver, is_tracing, 0
        self.calls = list[Call]()

    def reset(self) -> None:
        self.calls.clear()
        self._answered = 0

    @property
    def round_trips(self) -> int:
        """The longest chain of calls that were made one after the other; those that were under way at once count once."""
        return max((call.round_trip for call in self.calls), default=0)

    @property
    def reads(self) -> int:
        return sum(call.operation != "write" for call in self.calls)

    @property
    def summary(self) -> Counter[str]:
        """How many calls were made of each operation and tables."""
        return Counter(map(str, self.calls))

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        async with self._count_call("read", [table.name for table, _ in places]):
            return await self._driver.read_rows(places)

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        async with self._count_call("query", [query.table.name], query.partition):
            return await self._driver.query_rows(query)

    async def write_rows(self, writes: Sequence[Write]) -> None:
        async with self._count_call("write", [write.table.name for write in writes]):
            await self._driver.write_rows(writes)

    @asynccontextmanager
    async def _count_call(
        self, operation: Operation, tables: Sequence[str], partition: Scalar | None = None
    ) -> AsyncIterator[None]:
        callers = _list_callers() if self._is_tracing else ()
        call = Call(operation, tables, self._answered + 1, partition, callers)
        self.calls.append(call)
        for _ in range(LATENCY):
            await asyncio.sleep(0)
        try:
            yield
        finally:
            self._answered = max(self._answered, call.round_trip)


def _list_callers() -> Sequence[str]:
    frames = (frame for frame in traceback.extract_stack() if "/nexus/domain/" in frame.filename)
    return [f"{frame.filename.partition('/nexus/domain/')[2]}: {frame.name}" for frame in frames]
