"""Lists as people and programs read them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from nexus.cli.asked import Asked
from nexus.cli.output import Columns

T = TypeVar("T")
if TYPE_CHECKING:
    from nexus.client import Pages


async def show_list(
    asked: Asked,
    pages: "Pages[T]",
    columns: Columns[T],
    *,
    empty: str,
    lesser: Sequence[str] = (),
) -> None:
    """As many items as were asked for: one document for programs, a table for people, who are told when there are more."""
    found = await pages.take(None if asked.arguments.all else asked.arguments.limit)
    asked.output.items(found, columns, empty=empty, lesser=lesser)
    if found.next_cursor is not None and not asked.output.json:
        asked.output.note(f"(The first {len(found.items)}: --all shows every one, --limit N so many.)")
