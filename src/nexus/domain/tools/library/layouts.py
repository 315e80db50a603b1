"""Tables as text, aligned also where characters are wide."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from nexus.domain.tools.library.conditions import parse_number
from nexus.domain.tools.model import ToolError

_MOST_ROWS, _MOST_COLUMNS, _CELL = 1000, 50, 500
Style = Literal["markdown", "plain"]


def format_table(rows: list[dict[str, Any]], columns: list[str] = [], style: Style = "markdown") -> dict[str, Any]:  # noqa: B006 - never changed
    """Lays out rows as a table, in Markdown or plain text; numbers stand right, Chinese characters take two places.

    Args:
        rows: The rows, each an object of column names and values.
        columns: The columns to show, in order; empty shows all.
        style: markdown or plain.
    """
    if len(rows) > _MOST_ROWS:
        raise ToolError(f"A table may have at most {_MOST_ROWS} rows.")
    if style not in ("markdown", "plain"):
        raise ToolError("style must be markdown or plain.")
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        raise ToolError("A table needs rows or columns.")
    if len(names) > _MOST_COLUMNS:
        raise ToolError(f"A table may have at most {_MOST_COLUMNS} columns.")
    return {"text": write_table(rows, names, style), "rows": len(rows), "columns": names}


def write_table(rows: Sequence[Mapping[str, Any]], names: Sequence[str], style: str) -> str:
    columns = [
        [_format_table_cell(value, style) for value in (name, *(row.get(name) for row in rows))] for name in names
    ]
    laid_out = [_format_table_column(cells, style) for cells in columns]
    lines = zip(*laid_out, strict=True)
    if style == "plain":
        return "\n".join("  ".join(line).rstrip() for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _format_table_column(cells: Sequence[str], style: str) -> list[str]:
    """A head and its cells as wide as the widest, with a rule below the head; numbers stand right."""
    full = [cell for cell in cells[1:] if cell]
    right, size = bool(full) and all(parse_number(cell) is not None for cell in full), max(3, *map(measure_text, cells))
    rule = "-" * (size - 1) + ":" if right and style == "markdown" else "-" * size
    head, *rest = [pad_text_to_width(cell, size, right) for cell in cells]
    return [head, rule, *rest]


def measure_text(text: str) -> int:
    """How many places a terminal gives a text."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def pad_text_to_width(text: str, size: int, right: bool) -> str:
    space = " " * (size - measure_text(text))
    return space + text if right else text + space


def _format_table_cell(value: object, style: str) -> str:
    text = "" if value is None else ("yes" if value else "no") if isinstance(value, bool) else str(value)
    text = " ".join(text.split())[:_CELL]
    return text.replace("|", "\\|") if style == "markdown" else text
