"""Lists and single things as people and programs read them."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from nexus.cli.asked import Asked
from nexus.cli.exits import OK
from nexus.wire.lists import Listed

T = TypeVar("T")
PAGE = 100


async def gathered(page: Callable[[int, str | None], Awaitable[Listed[T]]], limit: int) -> Listed[T]:
    """So many items of a list, out of as many pages as it takes."""
    items, cursor = list[T](), None
    while True:
        found = await page(min(PAGE, limit - len(items)), cursor)
        items, cursor = [*items, *found.items], found.next_cursor
        if cursor is None or len(items) >= limit:
            return Listed(items=items, next_cursor=cursor)


def shown(asked: Asked, view: Struct) -> int:
    if asked.output.json:
        asked.output.document(view)
    else:
        asked.output.details(msgspec.structs.asdict(view))
    return OK
