"""A driver of tables that counts what it is asked."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from nexus.domain.ports.database import Query, TableDriver
from nexus.domain.ports.rows import Item, Place, Write

LATENCY = 5
"""Passes of the loop that a call takes, so that others may be made meanwhile."""


class CountingTables:
    """`calls`: by operation (`read`, `query`, `write`) and the names of the tables. `round_trips`: how often something was asked while
    nothing else was under way."""

    def __init__(self, driver: TableDriver) -> None:
        self._driver, self._under_way = driver, 0
        self.calls = Counter[str]()
        self.round_trips = 0

    def reset(self) -> None:
        self.calls.clear()
        self.round_trips = 0

    @property
    def reads(self) -> int:
        return sum(count for call, count in self.calls.items() if not call.startswith("write"))

    @asynccontextmanager
    async def _count_call(self, operation: str, tables: Sequence[str]) -> AsyncIterator[None]:
        self.calls[f"{operation} {', '.join(tables)}"] += 1
        self.round_trips += not self._under_way
        self._under_way += 1
        try:
            for _ in range(LATENCY):
                await asyncio.sleep(0)
            yield
        finally:
            self._under_way -= 1

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        async with self._count_call("read", [table.name for table, _ in places]):
            return await self._driver.read_rows(places)

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        async with self._count_call("query", [query.table.name]):
            return await self._driver.query_rows(query)

    async def write_rows(self, writes: Sequence[Write]) -> None:
        async with self._count_call("write", [write.table.name for write in writes]):
            await self._driver.write_rows(writes)
