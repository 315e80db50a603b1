"""Lists of a server, page by page."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from nexus.wire.lists import Listed

T = TypeVar("T")
MOST = 100
"""Items of a page."""


class Pages(Generic[T]):
    """A list of the server: `async for` goes through all of it, over as many pages as it takes."""

    def __init__(self, read: Callable[[int, str | None], Awaitable[Listed[T]]]) -> None:
        self._read = read

    async def fetch_page(self, limit: int = 50, cursor: str | None = None) -> Listed[T]:
        """One answer: so many items at most, from a cursor on."""
        return await self._read(limit, cursor)

    def filter_items(self, keep: Callable[[T], bool]) -> "Pages[T]":
        """The same list, of which a page has only the items to keep: it may be short, or empty."""

        async def read(limit: int, cursor: str | None) -> Listed[T]:
            found = await self._read(limit, cursor)
            return Listed(items=[*filter(keep, found.items)], next_cursor=found.next_cursor)

        return Pages(read)

    async def fetch_items(self, limit: int | None = None) -> Listed[T]:
        """So many items, or all of them; `next_cursor` says that there may be more."""
        items, cursor = list[T](), None
        while True:
            found = await self._read(MOST if limit is None else min(MOST, limit - len(items)), cursor)
            items, cursor = [*items, *found.items], found.next_cursor
            if cursor is None or (limit is not None and len(items) >= limit):
                return Listed(items=items, next_cursor=cursor)

    async def __aiter__(self) -> AsyncIterator[T]:
        cursor: str | None = None
        while True:
            found = await self._read(MOST, cursor)
            for item in found.items:
                yield item
            if (cursor := found.next_cursor) is None:
                return
