"""Lists, page by page, as people and programs read them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from nexus.cli.asked import Asked
from nexus.cli.output import Columns

T = TypeVar("T")
if TYPE_CHECKING:
    from nexus.wire.lists import Listed

    Page = Callable[[int, str | None], Awaitable[Listed[T]]]
    """So many items of a list at most, from a cursor on."""

PAGE = 100


async def gather_items(page: "Page[T]", limit: int | None = None) -> "Listed[T]":
    """So many items of a list, or all, out of as many pages as it takes."""
    from nexus.wire.lists import Listed

    items, cursor = list[T](), None
    while True:
        found = await page(PAGE if limit is None else min(PAGE, limit - len(items)), cursor)
        items, cursor = [*items, *found.items], found.next_cursor
        if cursor is None or (limit is not None and len(items) >= limit):
            return Listed(items=items, next_cursor=cursor)


async def show_list(
    asked: Asked,
    page: "Page[T]",
    columns: Columns[T],
    *,
    empty: str,
    lesser: Sequence[str] = (),
) -> None:
    """As many items as were asked for: one document for programs, a table for people, who are told when there are more."""
    limit = None if asked.arguments.all else asked.arguments.limit
    found = await gather_items(page, limit)
    asked.output.items(found, columns, empty=empty, lesser=lesser)
    if found.next_cursor is not None and not asked.output.json:
        asked.output.note(f"(The first {len(found.items)}: --all shows every one, --limit N so many.)")
