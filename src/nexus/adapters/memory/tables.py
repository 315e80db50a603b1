"""Rows in dictionaries, orders in sorted lists."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from nexus.domain.ports.database import Query, Refused
from nexus.domain.ports.rows import Item, Key, Place, Scalar, Table, Write, apply_write, is_condition_met

_Order = tuple[str, str, Scalar]
"""Table, index ("" for the key), partition."""


class MemoryTables:
    """What it says over an index is `lag` writes old: with a lag it shows whether a caller bears what a real store may do."""

    def __init__(self, *, lag: int = 0) -> None:
        self._now = _Shelf()
        self._indexed = _Shelf() if lag else self._now
        self._lag = lag
        self._changes: deque[tuple[Table[Any], Key, Item | None]] = deque()

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        return [self._now.read_row(table, key) for table, key in places]

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        return (self._indexed if query.index else self._now).query_rows(query)

    async def write_rows(self, writes: Sequence[Write]) -> None:
        changes = [(write.table, write.key, self._compute_written_row(at, write)) for at, write in enumerate(writes)]
        for change in changes:
            self._now.put_item(*change)
        if self._lag:
            self._changes.extend(changes)
        while len(self._changes) > self._lag:
            self._indexed.put_item(*self._changes.popleft())

    def _compute_written_row(self, at: int, write: Write) -> Item | None:
        row = self._now.read_row(write.table, write.key)
        if not is_condition_met(write, row):
            raise Refused(at, row)
        return apply_write(write, row)


class _Shelf:
    """Rows by key as bytes (nobody shares what is inside), and in every order their places: (sort value, *key)."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, Key], bytes] = {}
        self._orders: defaultdict[_Order, list[Key]] = defaultdict(list)

    def read_row(self, table: Table[Any], key: Key) -> Item | None:
        stored = self._rows.get((table.name, key))
        return None if stored is None else msgspec.json.decode(stored)

    def put_item(self, table: Table[Any], key: Key, item: Item | None) -> None:
        for order, place in _list_index_entries(table, key, self.read_row(table, key)):
            places = self._orders[order]
            del places[bisect_left(places, place)]
            if not places:
                del self._orders[order]
        self._rows.pop((table.name, key), None)
        if item is not None:
            self._rows[table.name, key] = msgspec.json.encode(item)
        for order, place in _list_index_entries(table, key, item):
            insort(self._orders[order], place)

    def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        places, window, width = self._list_partition_keys(query), query.window, len(query.table.key)
        low = 0 if window.since is None else bisect_left(places, (window.since,))
        high = len(places) if window.until is None else bisect_right(places, window.until, key=lambda place: place[0])
        if query.after and window.newest_first:
            high = min(high, bisect_left(places, query.after))
        elif query.after:
            low = max(low, bisect_right(places, query.after))
        found = places[low:high]
        if window.newest_first:
            found = found[::-1]
        rows = [self.read_row(query.table, place[-width:]) for place in found[: window.limit]]
        return [row for row in rows if row is not None], len(found) > window.limit

    def _list_partition_keys(self, query: Query[Any]) -> list[Key]:
        if query.partition is None:
            return sorted((key[-1], *key) for name, key in self._rows if name == query.table.name)
        return self._orders.get((query.table.name, query.index.name if query.index else "", query.partition), [])


def _list_index_entries(table: Table[Any], key: Key, item: Item | None) -> Iterator[tuple[_Order, Key]]:
    if item is not None:
        yield (table.name, "", key[0]), (key[-1], *key)
        for index in table.indexes:
            if index.partition in item and index.sort in item:
                yield (table.name, index.name, item[index.partition]), (item[index.sort], *key)
