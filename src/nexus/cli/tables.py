"""Lists for people and for programs: what identifies a row is never cut, whatever the width of the terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nexus.cli.asked import Asked
from nexus.cli.output import format_field_value
from nexus.cli.terminal import truncate_to_one_line
from nexus.client import Pages
from nexus.wire.lists import Listed

GAP = 2
LEAST = 12
"""Columns that the last field needs at least; with less, every row becomes a block of lines."""
ENDLESS = 1_000_000


class Shape(NamedTuple):
    """`columns`: by its heading, a field or what makes the text of it, moments to the second; the `lesser` ones are left out where not all
    fit, the first first; `empty` is said where there is no row, and before the words of a command that helps `then`."""

    columns: Mapping[str, str | Callable[[Any], object]]
    lesser: Sequence[str]
    empty: str
    then: Sequence[str] = ()


async def show_list(asked: Asked, pages: Pages[Any], shape: Shape) -> None:
    """As many items as were asked for; people are told when there are more."""
    found = await pages.fetch_items(None if asked.arguments.all else asked.arguments.limit)
    show_table(asked, found, shape)
    if found.next_cursor is not None and not asked.output.json:
        asked.output.write_note(f"(The first {len(found.items)}: --all shows every one, --limit N so many.)")


def show_table(asked: Asked, found: Listed[Any], shape: Shape) -> None:
    """The result: one JSON document for programs, aligned columns for people."""
    rows = [{name: _format_table_cell(item, field) for name, field in shape.columns.items()} for item in found.items]
    if asked.output.json:
        asked.output.write_json_document(found)
    elif not rows:
        asked.output.write_note(f"{shape.empty} {asked.format_command(*shape.then)}" if shape.then else shape.empty)
    else:
        lines = format_table(list(shape.columns), rows, asked.output.terminal_width, shape.lesser)
        asked.output.write_line("\n".join(lines))


def _format_table_cell(item: object, field: str | Callable[[Any], object]) -> str:
    text = truncate_to_one_line(format_field_value(getattr(item, field) if isinstance(field, str) else field(item)))
    return text[:19] if isinstance(field, str) and field.endswith("_at") else text


def format_table(
    names: Sequence[str], rows: Sequence[Mapping[str, str]], room: int | None, lesser: Sequence[str]
) -> list[str]:
    """A table without the `lesser` columns that do not fit, and its last field folded; or blocks where not even that fits."""
    from rich.cells import cell_len

    room = room or ENDLESS
    widths = {name: max(map(cell_len, (name, *(row[name] for row in rows)))) for name in names}
    kept, dropping = list(names), list(lesser)

    def does_fit() -> bool:
        return sum(widths[name] + GAP for name in kept[:-1]) + min(widths[kept[-1]], LEAST) <= room

    while dropping and not does_fit():
        kept.remove(dropping.pop(0))
    if does_fit():
        return _align_table_rows([kept, *([row[name] for name in kept] for row in rows)], room)
    blocks = [
        [row[names[0]], *_align_table_rows([[f"  {name}", row[name]] for name in names[1:] if row[name]], room)]
        for row in rows
    ]
    return [line for block in blocks for line in block]


def _align_table_rows(rows: Sequence[Sequence[str]], room: int) -> list[str]:
    """Lines of so many columns, on which only the last field of a row is folded."""
    from io import StringIO

    from rich.console import Console
    from rich.table import Table

    console = Console(file=StringIO(), width=room, force_terminal=False, markup=False, emoji=False, highlight=False)
    table = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for _ in rows[0][:-1]:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    with console.capture() as drawn:
        console.print(table)
    return [line.rstrip() for line in drawn.get().splitlines()]
