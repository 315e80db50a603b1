"""Lists of a server, page by page."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from nexus.wire.lists import Listed

T = TypeVar("T")


async def every(page: Callable[[str | None], Awaitable[Listed[T]]]) -> AsyncIterator[T]:
    """All items of a list: `every(lambda cursor: client.agents(cursor=cursor))`."""
    cursor: str | None = None
    while True:
        found = await page(cursor)
        for item in found.items:
            yield item
        if (cursor := found.next_cursor) is None:
            return
