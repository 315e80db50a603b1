"""Tables for people: what identifies a row is never cut, whatever the width of the terminal."""

from collections.abc import Iterator, Mapping, Sequence

from nexus.cli.terminal import cells, fold_text

GAP = "  "
LEAST = 12
"""Columns that the last field needs at least; with less, every row becomes a block of lines."""

Rows = Sequence[Mapping[str, str]]


def lines_of(names: Sequence[str], rows: Rows, room: int | None, lesser: Sequence[str]) -> Iterator[str]:
    """A table without the `lesser` columns that do not fit, and its last field fold_text; or blocks where not even that fits."""
    kept, dropping = list(names), list(lesser)
    while room is not None and _least(kept, rows) > room and dropping:
        kept.remove(dropping.pop(0))
    if room is None or _least(kept, rows) <= room:
        yield from _table(kept, rows, room)
    else:
        yield from _blocks(names, rows, room)


def _widths(names: Sequence[str], rows: Rows) -> list[int]:
    return [max(cells(name), *(cells(row[name]) for row in rows)) for name in names]


def _least(names: Sequence[str], rows: Rows) -> int:
    *firm, last = _widths(names, rows)
    return sum(firm) + len(GAP) * len(firm) + min(last, LEAST)


def _table(names: Sequence[str], rows: Rows, room: int | None) -> Iterator[str]:
    *widths, last = _widths(names, rows)
    indent = sum(widths) + len(GAP) * len(widths)
    left = last if room is None else max(room - indent, 1)
    for row in ({name: name for name in names}, *rows):
        *firm, text = (row[name] for name in names)
        start = "".join(field + " " * (width - cells(field)) + GAP for field, width in zip(firm, widths, strict=True))
        first, *more = fold_text(text, left)
        yield (start + first).rstrip()
        yield from (" " * indent + line for line in more)


def _blocks(names: Sequence[str], rows: Rows, room: int) -> Iterator[str]:
    """The first field stands on a line of its own; an empty one is left out."""
    label = max(cells(name) for name in names[1:]) + len(GAP) * 2
    for row in rows:
        yield row[names[0]]
        for name in names[1:]:
            fields = fold_text(row[name], max(room - label, LEAST)) if row[name] else []
            yield from (f"{GAP}{name if at == 0 else '':<{label - 2}}{field}" for at, field in enumerate(fields))
