"""A store under which a process dies, before or after a write."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from nexus.domain.ports.database import Query, TableDriver
from nexus.domain.ports.rows import Item, Place, Write


class DyingTables:
    """`at`: the moment of death. Every write has two: 0 is before the first, 1 is after it, 2 before the second. `die` does not return."""

    def __init__(self, store: TableDriver, at: int, die: Callable[[], object]) -> None:
        self._store, self._at, self._die = store, at, die
        self._moment = 0

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        return await self._store.read_rows(places)

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        return await self._store.query_rows(query)

    async def write_rows(self, writes: Sequence[Write]) -> None:
        await asyncio.sleep(0)  # others have their turn, as before any store that is far away
        self._pass_moment()
        await self._store.write_rows(writes)
        self._pass_moment()

    def _pass_moment(self) -> None:
        if self._moment == self._at:
            self._die()
        self._moment += 1
