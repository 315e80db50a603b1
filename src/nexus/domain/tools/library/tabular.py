"""Questions to CSV and JSON."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nexus.domain.tools.library.conditions import (
    Aggregate,
    Row,
    Value,
    aggregate_rows,
    find_column,
    make_sort_key,
    parse_aggregate,
    parse_cell,
    parse_condition,
    parse_number,
)
from nexus.domain.tools.library.layouts import write_table
from nexus.domain.tools.library.numbers import check_count
from nexus.domain.tools.model import ToolError

_MOST, _MOST_ROWS, _MOST_COLUMNS, _MOST_CELLS, _LISTED = 2_000_000, 50_000, 200, 1_000_000, 500
_SHOWN, _LONGEST_ORDER = 20, 500
_WAYS = ("asc", "ascending", "desc", "descending")


def query_csv(
    csv_text: str,
    select: list[str] = [],  # noqa: B006 - never changed, and a list in the schema
    where: list[str] = [],  # noqa: B006
    group_by: list[str] = [],  # noqa: B006
    aggregate: list[str] = [],  # noqa: B006
    order_by: str = "",
    limit: int = 100,
) -> dict[str, Any]:
    """Answers questions about a CSV table: picks columns, filters rows, groups, adds up, sorts.

    Args:
        csv_text: The table with its column names in the first line; separated by comma, semicolon, tab or bar.
        select: The columns to list; empty lists all.
        where: Conditions that must all hold, for example ["amount > 100", "city contains York", "status in open, late"].
        group_by: Columns whose equal values make one row.
        aggregate: What to work out for each group or for all rows, for example ["sum(amount)", "count(*)", "avg(price)", "sum(price * quantity)"].
        order_by: A column or aggregate, with " desc" for the largest first.
        limit: How many rows to list, at most 500.
    """
    columns, rows = read_csv(csv_text)
    check_count(limit, "limit", _LISTED)
    if max(map(len, (select, where, group_by, aggregate))) > 20:
        raise ToolError("At most 20 entries are possible in each list.")
    tests = [parse_condition(text, columns) for text in where]
    kept = [row for row in rows if all(test(row) for test in tests)]
    if group_by or aggregate:
        found = _group_and_aggregate_rows(kept, [find_column(name, columns) for name in group_by], aggregate, columns)
        listed = _sort_rows_by_column(found, order_by, found[0] if found else {})[:limit]
        total = len(found)
    else:
        wanted = [find_column(name, columns) for name in select if name.strip() != "*"] or columns
        ordered, total = _sort_rows_by_column(kept, order_by, dict.fromkeys(columns)), len(kept)
        listed = [{name: parse_cell(row[name]) for name in wanted} for row in ordered[:limit]]
    return {
        "rows": listed,
        "count": total,
        "matching": len(kept),
        "of": len(rows),
        "text": _format_result_rows(listed, total),
    }


def describe_csv(csv_text: str) -> dict[str, Any]:
    """Tells what a CSV table holds: rows, and for each column its type, empty cells, distinct values, least, largest, mean and sum.

    Args:
        csv_text: The table with its column names in the first line.
    """
    columns, rows = read_csv(csv_text)
    described = [_describe_csv_column(name, [row[name] for row in rows]) for name in columns]
    said = f"{len(rows)} rows, {len(columns)} columns: {', '.join(columns)}"
    return {"rows": len(rows), "columns": described, "text": said}


def query_json(json_text: str, path: str = "") -> dict[str, Any]:
    """Reads a value out of a JSON document.

    Args:
        json_text: The document.
        path: Where the value is, for example "orders[0].customer.name"; [*] stands for all entries, [-1] for the last one.
    """
    if len(json_text) > _MOST:
        raise ToolError(f"The document is longer than {_MOST} characters.")
    try:
        document = msgspec.json.decode(json_text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise ToolError("The text is not valid JSON.") from None
    found, steps, place = [document], _split_json_path(path), ""
    for step in steps:
        place += step if step.startswith("[") else f".{step}"
        found = _apply_json_path_step(found, step, place.lstrip("."))
    value = found if {"[*]", "*"} & set(steps) else found[0]
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return {"value": value, "type": _get_json_type_name(value), "text": text[:20_000]}


def read_csv(text: str) -> tuple[list[str], list[Row]]:
    """Column names and rows; short rows are filled up with empty cells."""
    if len(text) > _MOST:
        raise ToolError(f"The table is longer than {_MOST} characters.")
    plain = text.lstrip("\ufeff").strip("\r\n")
    head = plain.split("\n", 1)[0]
    mark = max(",;\t|", key=head.count)
    lines = _parse_csv_rows(plain, mark)
    if not lines:
        raise ToolError("The table is empty.")
    columns = _make_unique_column_names([name.strip() for name in lines[0]])
    if len(columns) * len(lines) > _MOST_CELLS:
        raise ToolError(f"A table may have at most {_MOST_CELLS} cells.")
    if long := next((number for number, line in enumerate(lines[1:], 1) if len(line) > len(columns)), 0):
        raise ToolError(f"Row {long} has more cells than the head has names.")
    return columns, [
        dict(zip(columns, [*(cell.strip() for cell in line), *[""] * (len(columns) - len(line))], strict=True))
        for line in lines[1:]
    ]


def _parse_csv_rows(plain: str, mark: str) -> list[list[str]]:
    """The rows as they stand, counted while they are read: nothing is made of a table that is too large."""
    lines: list[list[str]] = []
    try:
        for line in csv.reader(io.StringIO(plain, newline=""), delimiter=mark, skipinitialspace=True):
            if len(line) > _MOST_COLUMNS or len(lines) > _MOST_ROWS:
                raise ToolError(f"A table may have at most {_MOST_COLUMNS} columns and {_MOST_ROWS} rows.")
            if line:
                lines.append(line)
    except csv.Error as error:
        raise ToolError(f"The table cannot be read: {error}.") from None
    return lines


def _make_unique_column_names(names: Sequence[str]) -> list[str]:
    """Every column has a name of its own."""
    taken: list[str] = []
    for place, name in enumerate(names, 1):
        name = name or f"column_{place}"
        same = sum(one == name or one.startswith(f"{name}_") for one in taken) if name in taken else 0
        taken.append(f"{name}_{same + 1}" if same else name)
    return taken


def _group_and_aggregate_rows(
    rows: Sequence[Row], by: list[str], aggregate: Sequence[str], columns: Sequence[str]
) -> list[dict[str, Value]]:
    wanted = [parse_aggregate(text, columns) for text in aggregate] or [parse_aggregate("count(*)", columns)]
    groups: dict[tuple[str, ...], list[Row]] = {} if by else {(): []}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    return [
        {name: parse_cell(part) for name, part in zip(by, key, strict=True)}
        | {one.name: aggregate_rows(one, group) for one in wanted}
        for key, group in groups.items()
    ]


def _sort_rows_by_column(rows: list[Any], order_by: str, names: Mapping[str, object]) -> list[Any]:
    """By one column; what is empty always stands last."""
    if not order_by.strip() or not rows:
        return rows
    if len(order_by) > _LONGEST_ORDER:
        raise ToolError(f"order_by is longer than {_LONGEST_ORDER} characters.")
    plain = " ".join(order_by.split())
    name, _, way = plain.rpartition(" ")
    directed = name and way.lower() in _WAYS
    wanted = (name if directed else plain).replace(" (", "(").replace("( ", "(").replace(" )", ")")
    column = find_column(wanted, list(names))
    full = [row for row in rows if row[column] not in (None, "")]
    full.sort(key=lambda row: make_sort_key(row[column]), reverse=bool(directed and way.lower().startswith("desc")))
    return full + [row for row in rows if row[column] in (None, "")]


def _format_result_rows(rows: Sequence[Mapping[str, Value]], total: int) -> str:
    if not rows:
        return "No row matches."
    if len(rows) == 1 and total == 1 and len(rows[0]) <= 3:
        return ", ".join(f"{name}: {value}" for name, value in rows[0].items())
    more = f"\n({total - _SHOWN} more)" if total > _SHOWN and len(rows) >= _SHOWN else ""
    return write_table([dict(row) for row in rows[:_SHOWN]], list(rows[0]), "markdown") + more


def _describe_csv_column(name: str, cells: Sequence[str]) -> dict[str, Any]:
    full = [cell for cell in cells if cell]
    numbers = [number for cell in full if (number := parse_number(cell)) is not None]
    described: dict[str, Any] = {"name": name, "empty": len(cells) - len(full), "distinct": len(set(full))}
    if not full or len(numbers) < len(full):
        return described | {"type": "text", "examples": list(dict.fromkeys(cell[:80] for cell in full))[:5]}
    rows = [{name: cell} for cell in full]
    measures = {kind: aggregate_rows(Aggregate(kind, kind, name), rows) for kind in ("min", "max", "avg", "sum")}
    whole = all(number.denominator == 1 for number in numbers)
    return described | {"type": "integer" if whole else "number"} | measures


def _split_json_path(path: str) -> list[str]:
    plain = path.strip().removeprefix("$").lstrip(".")
    if len(plain) > 500:
        raise ToolError("The path is longer than 500 characters.")
    found = re.findall(r"\[\s*(?:-?\d{1,9}|\*)\s*\]|\[\"[^\"]+\"\]|\['[^']+'\]|[^.\[\]]+", plain)
    if "".join(found) != plain.replace(".", "") and "".join(found).replace(".", "") != plain.replace(".", ""):
        raise ToolError(f"{path[:80]!r} is not a path; write it like orders[0].name.")
    return [
        re.sub(r"\s", "", step) if re.match(r"\[\s*[-\d*]", step) else step[2:-2] if step.startswith("[") else step
        for step in found
    ]


def _apply_json_path_step(values: list[Any], step: str, where: str) -> list[Any]:
    found: list[Any] = []
    index = re.fullmatch(r"\[?(-?\d+)\]?", step)
    for value in values:
        if step in ("[*]", "*") and isinstance(value, list | dict):
            found += value if isinstance(value, list) else value.values()
        elif isinstance(value, list) and index and -len(value) <= int(index[1]) < len(value):
            found.append(value[int(index[1])])
        elif isinstance(value, dict) and step in value:
            found.append(value[step])
        elif len(values) == 1:
            names = f"there are: {', '.join(map(str, value))[:300]}" if isinstance(value, dict) else None
            raise ToolError(f"There is nothing at {where[:100]}; {names or f'it is {_get_json_type_name(value)}'}.")
    return found


def _get_json_type_name(value: object) -> str:
    names = ((bool, "boolean"), (dict, "object"), (list, "list"), (str, "text"), (int, "number"), (float, "number"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")
