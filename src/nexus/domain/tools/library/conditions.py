"""The small language in which rows are asked for: `amount > 100`, `sum(amount)`, `city contains 上海`."""

import math
import re
import statistics
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from nexus.domain.tools.library.numbers import convert_for_json, parse_exact
from nexus.domain.tools.model import ToolError

Row = Mapping[str, str]
Value = str | int | float | None
_CONDITION = re.compile(
    r"^\s*+(?P<column>\"[^\"]+\"|.+?)\s*+(?P<sign>>=|<=|==|!=|<>|=|>|<|(?<=[\s\"])(?:not\s+contains|contains|starts\s+with|ends\s+with|not\s+in|in|is\s+not\s+empty|is\s+empty)\b)\s*(?P<wanted>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_AGGREGATE = re.compile(
    r"^\s*(?P<kind>sum|avg|mean|min|max|count|median)\s*\(\s*(?P<column>.*?)\s*\)\s*(?:as\s+(?P<name>.+?))?\s*$",
    re.IGNORECASE,
)
_NUMERIC = re.compile(r"[-+]?[$€£¥]?[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][-+]?\d{1,2})?%?")
_SIGNS = {"≥": ">=", "≤": "<=", "≠": "!="}


class Aggregate(NamedTuple):
    name: str
    kind: str
    column: str


def parse_number(text: str) -> Fraction | None:
    """The number that a cell holds (`1,200`, `$5`, `12%`), or None."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if len(plain) > 40 or not any(map(str.isdigit, plain)) or not _NUMERIC.fullmatch(plain):
        return None
    percent = plain.endswith("%")
    return parse_exact(re.sub(r"[%$€£¥]", "", plain)) / (100 if percent else 1)


def find_column(name: str, columns: Sequence[str]) -> str:
    """The column as it is written in the head, whatever the case."""
    plain = name.strip().strip('"').strip()
    folded = " ".join(plain.lower().split())
    for column in (one for one in columns if one == plain):
        return column
    for column in (one for one in columns if " ".join(one.lower().split()) == folded):
        return column
    raise ToolError(f"There is no column {plain[:80]!r}; there are: {', '.join(columns)[:500]}.")


def parse_condition(text: str, columns: Sequence[str]) -> Callable[[Row], bool]:
    """What a condition asks of a row. Numbers are compared as numbers, all else as text whatever its case."""
    plain = "".join(_SIGNS.get(character, character) for character in text[:500])
    found = _CONDITION.match(plain) if len(text) <= 500 else None
    if not found:
        raise ToolError(f"{text[:80]!r} is not a condition; write it like amount > 100 or city contains York.")
    column, sign = find_column(found["column"], columns), re.sub(r"\s+", " ", found["sign"].lower())
    wanted = found["wanted"].strip()
    test = _make_cell_test(sign, wanted)
    return lambda row: test(row[column])


def _make_cell_test(sign: str, wanted: str) -> Callable[[str], bool]:
    if sign.endswith("empty"):
        return lambda cell: (not cell.strip()) == (sign == "is empty")
    if sign.endswith("in"):
        choices = [_strip_quotes(one) for one in wanted.strip("()[] ").split(",")]
        return lambda cell: any(_compare_cells(cell, one) == 0 for one in choices) == (sign == "in")
    plain = _strip_quotes(wanted)
    low = plain.lower()
    tests: Mapping[str, Callable[[str], bool]] = {
        "contains": lambda cell: low in cell.lower(),
        "not contains": lambda cell: low not in cell.lower(),
        "starts with": lambda cell: cell.lower().startswith(low),
        "ends with": lambda cell: cell.lower().endswith(low),
        "=": lambda cell: _compare_cells(cell, plain) == 0,
        "!=": lambda cell: _compare_cells(cell, plain) != 0,
        ">": lambda cell: _is_cell_comparable(cell, plain) and _compare_cells(cell, plain) > 0,
        "<": lambda cell: _is_cell_comparable(cell, plain) and _compare_cells(cell, plain) < 0,
        ">=": lambda cell: _is_cell_comparable(cell, plain) and _compare_cells(cell, plain) >= 0,
        "<=": lambda cell: _is_cell_comparable(cell, plain) and _compare_cells(cell, plain) <= 0,
    }
    return tests[{"==": "=", "<>": "!="}.get(sign, sign)]


def _is_cell_comparable(cell: str, wanted: str) -> bool:
    """An empty cell is neither more nor less than anything, nor is text more or less than a number."""
    return bool(cell.strip()) and (parse_number(wanted) is None) == (parse_number(cell) is None)


def _compare_cells(left: str, right: str) -> int:
    one, other = parse_number(left), parse_number(right)
    if one is not None and other is not None:
        return (one > other) - (one < other)
    first, second = left.strip().lower(), right.strip().lower()
    return (first > second) - (first < second)


def _strip_quotes(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def parse_aggregate(text: str, columns: Sequence[str]) -> Aggregate:
    """`sum(amount)`, `count(*)`, `avg(price) as mean price`, `sum(price * quantity)`."""
    found = _AGGREGATE.match(" ".join(text.split())) if len(text) <= 200 else None
    if not found:
        raise ToolError(f"{text[:80]!r} is not possible; write it like sum(amount), count(*), avg, min, max or median.")
    kind = "avg" if found["kind"].lower() == "mean" else found["kind"].lower()
    spoken = found["column"]
    factors = [spoken] if spoken in columns or spoken == "*" else spoken.split("*")
    is_all = kind == "count" and spoken in ("", "*")
    column = "*" if is_all else " * ".join(find_column(one.strip(), columns) for one in factors)
    return Aggregate(found["name"] or f"{kind}({column})", kind, column)


def aggregate_rows(wanted: Aggregate, rows: Sequence[Row]) -> Value:
    """Cells that hold no number are left out; with none left the answer is None (a sum is 0)."""
    if wanted.kind == "count":
        return len(rows) if wanted.column == "*" else sum(bool(row[wanted.column].strip()) for row in rows)
    numbers = [number for row in rows if (number := _compute_row_measure(wanted.column, row)) is not None]
    if wanted.kind == "sum":
        return convert_for_json(sum(numbers, Fraction(0)))
    if not numbers:
        return None
    return convert_for_json(_MEASURES[wanted.kind](numbers))


_MEASURES: Mapping[str, Callable[[Sequence[Fraction]], Fraction]] = {
    "avg": statistics.mean,
    "min": min,
    "max": max,
    "median": statistics.median,
}


def _compute_row_measure(column: str, row: Row) -> Fraction | None:
    """The number of a cell, or the product of two cells: `price * quantity`."""
    cells = [parse_number(row[name]) for name in ([column] if column in row else column.split(" * "))]
    return None if None in cells else Fraction(math.prod(cell for cell in cells if cell is not None))


def parse_cell(text: str) -> Value:
    """A cell as JSON: what is plainly a number becomes one, `007` and `1,200` stay text."""
    if re.fullmatch(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,12})?", text):
        return float(text) if "." in text else int(text)
    return text


def make_sort_key(value: object) -> tuple[int, Fraction, str]:
    """Where a value stands in an order: numbers, then text, then what is empty."""
    if value in (None, ""):
        return (2, Fraction(0), "")
    number = parse_number(str(value))
    return (1, Fraction(0), str(value).lower()) if number is None else (0, number, "")
