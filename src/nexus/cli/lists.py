"""Lists and single things as people and programs read them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from nexus.cli.asked import Asked
from nexus.cli.exits import OK
from nexus.cli.output import Columns
from nexus.wire.lists import Listed

T = TypeVar("T")
Page = Callable[[int, str | None], Awaitable[Listed[T]]]
"""So many items of a list at most, from a cursor on."""

PAGE = 100


def chosen(page: Page[T], is_wanted: Callable[[T], bool]) -> Page[T]:
    """The pages without what is not wanted: a page may be short, or empty."""

    async def page_of_wanted(limit: int, cursor: str | None) -> Listed[T]:
        found = await page(limit, cursor)
        return Listed(items=[item for item in found.items if is_wanted(item)], next_cursor=found.next_cursor)

    return page_of_wanted


async def gathered(page: Page[T], limit: int | None) -> Listed[T]:
    """So many items of a list, or all, out of as many pages as it takes."""
    items, cursor = list[T](), None
    while True:
        found = await page(PAGE if limit is None else min(PAGE, limit - len(items)), cursor)
        items, cursor = [*items, *found.items], found.next_cursor
        if cursor is None or (limit is not None and len(items) >= limit):
            return Listed(items=items, next_cursor=cursor)


async def show_list(
    asked: Asked,
    page: Page[T],
    columns: Columns[T],
    *,
    empty: str,
    lesser: Sequence[str] = (),
) -> int:
    """As many items as were asked for: one document for programs, a table for people, who are told when there are more."""
    limit = None if asked.arguments.all else asked.arguments.limit
    found = await gathered(page, limit)
    if asked.output.json:
        asked.output.document(found)
        return OK
    asked.output.table(found.items, columns, empty=empty, lesser=lesser)
    if found.next_cursor is not None:
        asked.output.note(f"(The first {len(found.items)}: --all shows every one, --limit N so many.)")
    return OK


def shown(asked: Asked, view: Struct, **more: list[str]) -> int:
    """One thing; of what there is `more` to tell, each entry is a line."""
    fields = msgspec.structs.asdict(view)
    if asked.output.json:
        asked.output.document(fields | more)
    else:
        asked.output.details(fields | {name: "\n".join(lines) for name, lines in more.items()})
    return OK
