"""The storage port: what services ask (`Tables`), and what a store answers (`TableDriver`)."""

import asyncio
import base64
import hmac
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from functools import wraps
from itertools import compress
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

import msgspec
from msgspec import Struct, convert, structs

from nexus.domain.core.batches import split_batches
from nexus.domain.core.errors import AlreadyExists, InvalidInput, NexusError, NotFound, Stale
from nexus.domain.core.instants import Clock
from nexus.domain.core.pages import PAGE_LIMIT as PAGE_LIMIT
from nexus.domain.core.pages import Page as Page
from nexus.domain.core.pages import Window as Window
from nexus.domain.core.principal import Principal
from nexus.domain.ports.rows import (
    Index,
    Item,
    Key,
    Place,
    R,
    Scalar,
    Table,
    V,
    When,
    Write,
    delete,
    is_indexable_value,
    join_index_values,
    replace,
)

T = TypeVar("T")
P = ParamSpec("P")

TRIES = 8
COMMIT_LIMIT = 100
READ_LIMIT = 100
_SEAL_BYTES = 16


class Query(Struct, Generic[R], frozen=True):
    """A window on one partition, or without one on all rows in any fixed order.

    `after` is the place of the row before the first: its sort value, then its key."""

    table: Table[R]
    index: Index | None
    partition: Scalar | None
    window: Window
    after: Key | None = None

    @property
    def fields(self) -> tuple[str, str]:
        """The fields that partition and sort."""
        return (self.index.partition, self.index.sort) if self.index else (self.table.key[0], self.table.key[-1])


class Refused(Exception):
    """A driver's answer to writes of which one does not hold: which, and the row that stood against it."""

    def __init__(self, at: int, row: Item | None) -> None:
        super().__init__(f"write {at}")
        self.at, self.row = at, row


class TableDriver(Protocol):
    """A store. Any call may raise Unavailable; what a write then did is unknown."""

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        """The rows of at most 100 places, in their order. Sees every acknowledged write; several rows are not of one moment."""
        ...

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        """At most `limit` rows after `after`, by sort field, equal ones in a fixed order; and whether more may follow.

        Over the table's key it sees every acknowledged write; an index may lag, row contents included."""
        ...

    async def write_rows(self, writes: Sequence[Write]) -> None:
        """All, or none and Refused with the first that does not hold. Applied once, even when the store's answer is lost.

        Cancelling the caller does not take a write back."""
        ...


class BulkTableDriver(TableDriver, Protocol):
    """A store that can be filled with rows as they are."""

    async def put_rows(self, table: Table[Any], items: Sequence[Item]) -> None:
        """Each in the place of what stands there, whatever its expiry. Not together: when this fails, some may be there, and it may be
        called again."""
        ...


def retry_stale(verb: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a verb that reads, decides and commits: runs it again, after a pause, while what it read has changed before its commit. Stale when
    that was so each of `TRIES` times."""

    @wraps(verb)
    async def retry(*args: P.args, **kwargs: P.kwargs) -> T:
        for earlier in range(TRIES - 1):
            try:
                return await verb(*args, **kwargs)
            except Stale:
                await asyncio.sleep(random.random() * 0.005 * 2**earlier)
        return await verb(*args, **kwargs)

    return retry


class Tables:
    """Everything stored; `of` a caller, everything that is theirs."""

    def __init__(self, driver: TableDriver, *, secret: bytes, clock: Clock, caller: Principal | None = None) -> None:
        self._driver, self._secret, self._clock, self._caller = driver, secret, clock, caller

    def for_caller(self, caller: Principal) -> "Tables":
        """The same tables, in which rows of others do not exist."""
        return Tables(self._driver, secret=self._secret, clock=self._clock, caller=caller)

    async def find(self, table: Table[R], *key: Scalar) -> R | None:
        """The row, or None where there is none for this caller. Sees every acknowledged write."""
        row: R | None = (await self.find_rows((table, key)))[0]
        return row

    async def find_rows(self, *places: Place) -> list[Any]:
        """As `find`, for at most 100 different places in any tables, in one round trip; the rows are not of one moment."""
        valid = [_is_storable_key(table, key) for table, key in places]
        items = iter(await self._driver.read_rows(list(compress(places, valid))) if any(valid) else ())
        return [
            self._decode_row(place[0], next(items)) if good else None for place, good in zip(places, valid, strict=True)
        ]

    async def find_rows_by_key(self, table: Table[R], keys: Sequence[Key]) -> list[R]:
        """The rows that are there for this caller; not of one moment."""
        places = [(table, key) for key in dict.fromkeys(keys)]
        found = [row for some in split_batches(places, READ_LIMIT) for row in await self.find_rows(*some)]
        return [row for row in found if row is not None]

    async def get(self, table: Table[R], *key: Scalar) -> R:
        """As `find`, or NotFound."""
        if (row := await self.find(table, *key)) is None:
            raise _make_write_error(NotFound, table, key)
        return row

    async def read_page(
        self, table: Table[R], *partition: Scalar, index: str | None = None, window: Window = Window()
    ) -> Page[R]:
        """A page of one partition by the table's key, or by an index (which may lag: never look there for your own write)."""
        order = table.get_index(index) if index else None
        if len(partition) != (len(order.parts) if order else 1):
            raise TypeError(f"{table.name}: the partition is {order.partition if order else table.key[0]}")
        if not all(map(is_indexable_value, partition)):
            return Page([])
        return await self._query_page(
            Query(table, order, partition[0] if len(partition) == 1 else join_index_values(partition), window)
        )

    async def walk(self, table: Table[R], window: Window = Window()) -> Page[R]:
        """A page of all rows, in no order and by no bounds. For migrations; never for a request."""
        return await self._query_page(_make_walk_query(table, window))

    async def walk_items(self, table: Table[R], window: Window = Window()) -> Page[Item]:
        """As `walk`, of rows as they are stored: those past their time and the fields of newer code, too. For copies of a whole store."""
        return await self._query_items(_make_walk_query(table, window))

    async def commit(self, *writes: Write) -> None:
        """All of the writes or none. AlreadyExists, NotFound or Stale name the table and key of the first that fails."""
        if not writes:
            return
        if len(writes) > COMMIT_LIMIT or len({(write.table.name, write.key) for write in writes}) < len(writes):
            raise ValueError(f"a commit has at most {COMMIT_LIMIT} writes, one for each row")
        if not (_do_tallies_cancel_out(writes) or any(write.verb == "put" for write in writes)):
            raise ValueError("a tally is committed with the insert of what it counts, or it would count twice")
        try:
            await self._driver.write_rows([self._add_owner_conditions(write) for write in writes])
        except Refused as refused:
            raise self._translate_refusal(writes[refused.at], refused.row) from None

    @retry_stale
    async def edit_row(self, table: Table[V], *key: Scalar, change: Callable[[V], V]) -> V:
        """Reads, changes and replaces a row; again when somebody was faster, so `change` may run several times."""
        row = await self.get(table, *key)
        if (changed := change(row)) == row:
            return row
        await self.commit(replace(table, changed))
        return structs.replace(changed, revision=row.revision + 1)

    async def each(
        self, table: Table[R], *partition: Scalar, index: str | None = None, window: Window = Window(limit=PAGE_LIMIT)
    ) -> AsyncIterator[R]:
        """All rows of a partition, or of a window on it, read page by page."""
        async for page in self._iterate_pages(table, *partition, index=index, window=window):
            for row in page.items:
                yield row

    async def clear(self, table: Table[R], *partition: Scalar, index: str | None = None) -> None:
        """Deletes all rows of a partition."""
        async for page in self._iterate_pages(table, *partition, index=index):
            await self.commit(*(delete(table, row) for row in page.items))

    async def _iterate_pages(
        self, table: Table[R], *partition: Scalar, index: str | None = None, window: Window = Window(limit=PAGE_LIMIT)
    ) -> AsyncIterator[Page[R]]:
        cursor, more = window.cursor, True
        while more:
            page = await self.read_page(table, *partition, index=index, window=structs.replace(window, cursor=cursor))
            yield page
            cursor, more = page.cursor, page.cursor is not None

    async def _query_page(self, query: Query[R]) -> Page[R]:
        table, page = query.table, await self._query_items(query)
        if query.index and query.index.keys_only:
            keys = [tuple(item[field] for field in table.key) for item in page.items]
            return Page(await self.find_rows_by_key(table, keys), page.cursor)
        return Page([row for item in page.items if (row := self._decode_row(table, item)) is not None], page.cursor)

    async def _query_items(self, query: Query[Any]) -> Page[Item]:
        items, more = await self._driver.query_rows(structs.replace(query, after=self._open_cursor(query)))
        return Page(items, self._seal_cursor(query, items[-1]) if more and items else None)

    def _decode_row(self, table: Table[R], item: Item | None) -> R | None:
        return convert(item, table.row, str_keys=True) if item and self._is_row_visible(table, item) else None

    def _is_row_visible(self, table: Table[Any], item: Item) -> bool:
        return self._is_write_allowed(table, item) and not (table.expires and item[table.expires] <= self._clock())

    def _is_write_allowed(self, table: Table[Any], item: Item) -> bool:
        return (
            self._caller is None or table.owner is None or item.get(table.owner) == getattr(self._caller, table.owner)
        )

    def _add_owner_conditions(self, write: Write) -> Write:
        """With what the table declares: rows of others are not touched, rows past their time do not stand in the way."""
        table = write.table
        if write.verb in ("put", "tally"):
            if not self._is_write_allowed(table, write.fields or dict(zip(table.key, write.key, strict=True))):
                raise ValueError(f"{table.name}: the row is not the caller's")
            if write.verb == "put" and table.expires:
                return structs.replace(write, when=When(below={table.expires: int(self._clock()) + 1}))
            return write
        if self._caller is None or table.owner is None:
            return write
        mine = {**write.when.fields, table.owner: (getattr(self._caller, table.owner),)}
        return structs.replace(write, when=structs.replace(write.when, fields=mine))

    def _translate_refusal(self, write: Write, row: Item | None) -> NexusError:
        if write.verb == "put":
            return _make_write_error(AlreadyExists, write.table, write.key)
        return _make_write_error(
            Stale if row and self._is_row_visible(write.table, row) else NotFound, write.table, write.key
        )

    def _seal_cursor(self, query: Query[Any], last: Item) -> str:
        place = msgspec.json.encode([last[query.fields[1]], *(last[field] for field in query.table.key)])
        return base64.urlsafe_b64encode(self._sign_cursor_position(query, place) + place).decode().rstrip("=")

    def _open_cursor(self, query: Query[Any]) -> Key | None:
        if (cursor := query.window.cursor) is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError:
            raw = b""
        place = raw[_SEAL_BYTES:]
        if not hmac.compare_digest(raw[:_SEAL_BYTES], self._sign_cursor_position(query, place)):
            message = "The cursor is not one of this list"
            raise InvalidInput(message, errors=[{"pointer": "/cursor", "message": message}])
        return msgspec.json.decode(place, type=Key)

    def _sign_cursor_position(self, query: Query[Any], place: bytes) -> bytes:
        """Binds a place to its list, its bounds and the one who asked."""
        window, caller = query.window, self._caller
        bounds = (window.since, window.until, window.newest_first)
        asked = (query.table.name, query.fields, query.partition, bounds, caller and (caller.tenant_id, caller.user_id))
        return hmac.digest(self._secret, msgspec.json.encode(asked) + place, "sha256")[:_SEAL_BYTES]


def _do_tallies_cancel_out(writes: Sequence[Write]) -> bool:
    """Whether they only move counts from row to row: then it does not matter how often."""
    sums = Counter[str]()
    for write in writes:
        sums.update(write.add if write.verb == "tally" else {})
    return not any(sums.values())


def _make_walk_query(table: Table[R], window: Window) -> Query[R]:
    return Query(table, None, None, structs.replace(window, since=None, until=None))


def _is_storable_key(table: Table[Any], key: Key) -> bool:
    """Whether a row can have it."""
    if len(key) != len(table.key):
        raise TypeError(f"{table.name}: the key is {table.key}")
    return all(map(is_indexable_value, key))


def _make_write_error(kind: type[NexusError], table: Table[Any], key: Key) -> NexusError:
    return kind(f"{kind.title}: {table.name} {'/'.join(map(str, key))}", table=table.name, key=key)
