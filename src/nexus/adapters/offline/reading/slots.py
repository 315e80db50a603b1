"""The kinds of slots: what each reads from a token on, as places where it ends, and values."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from fractions import Fraction
from functools import cached_property
from typing import Any

from nexus.adapters.offline.reading.expressions import Expression
from nexus.adapters.offline.reading.moments import Moments
from nexus.adapters.offline.reading.patterns import Words
from nexus.adapters.offline.reading.quantities import CURRENCIES
from nexus.adapters.offline.reading.tokens import Token, normalize_text, tokenize_text
from nexus.adapters.offline.reading.words import MEANINGFUL, NOUNS
from nexus.domain.tools.library.conditions import parse_number
from nexus.domain.tools.library.tabular import read_csv
from nexus.domain.tools.library.units import find_unit
from nexus.domain.tools.model import ToolError

SEPARATORS = (",", "、", ";", "and", "和", "&", "\n", "与", "跟")
_MONTHLY = ("per month", "a month", "monthly", "each month", "every month", "per week", "a day", "per day")
_ROWS, _LONGEST_CELL = 5_000, 40
Read = Iterator[tuple[int, Any]]


class Source(Moments):
    """Tokens with the material that came with them."""

    def __init__(self, text: str, tokens: list[Token], today: date, material: str | None) -> None:
        super().__init__(text, tokens)
        self.today, self.material = today, material

    @cached_property
    def table_rows(self) -> list[dict[str, str]]:
        """Those of the material, when it is a table of several columns."""
        try:
            names, rows = read_csv(self.material) if self.material else ([], [])
        except ToolError:
            return []
        return [dict(row) for row in rows[:_ROWS]] if len(names) > 1 else []

    @cached_property
    def column_names(self) -> list[str]:
        return list(self.table_rows[0]) if self.table_rows else []

    @cached_property
    def numeric_columns(self) -> set[str]:
        """The columns that hold numbers."""
        return {column for row in self.table_rows for column, cell in row.items() if parse_number(cell) is not None}

    @cached_property
    def _tokenized_cells(self) -> set[tuple[str, ...]]:
        """The tokens of every column's name, and of every cell of the table that holds a text."""
        cells = {
            cell[:_LONGEST_CELL] for row in self.table_rows for cell in row.values() if any(map(str.isalpha, cell))
        }
        cells |= {*self.column_names}
        return {tuple(token.word for token in tokenize_text(normalize_text(cell))) for cell in cells}

    def is_table_cell_at(self, at: int) -> bool:
        """Whether a value or a column of the table stands at a token: such a word is never one that says nothing."""
        ends = range(at + 1, min(at + 6, len(self.tokens)) + 1)
        return any(tuple(map(self.get_word_at, range(at, end))) in self._tokenized_cells for end in ends)

    def get_rest_of_line(self, at: int) -> str:
        """The text from a token on, up to the end of its line."""
        return self.text[self.tokens[at].start :].partition("\n")[0][:60].strip() if at < len(self.tokens) else ""

    def list_phrase_ends(self, words: Words, at: int) -> Iterator[int]:
        """Where the phrases that stand at a token end."""
        for phrase in words.get(self.get_word_at(at), ()):
            if all(self.get_word_at(at + place) == word for place, word in enumerate(phrase)):
                yield at + len(phrase)


def convert_fraction_to_json(value: Fraction) -> int | float:
    """A fraction as JSON has it."""
    return value.numerator if value.denominator == 1 else float(value)


def _parse_number_slot(source: Source, at: int, detail: str) -> Read:
    """Any number, a `whole` one, or `money`: no share, and no count of things (`2 tickets`)."""
    for found in source.list_numbers_at(at):
        is_priced = source.get_word_at(at) in CURRENCIES or source.get_word_at(found.end - 1) in CURRENCIES
        is_part = source.get_word_at(found.end) in ("%", "percent", "折")
        is_count = detail == "money" and (is_part or (not is_priced and any(source.list_phrase_ends(NOUNS, found.end))))
        if not is_count and (detail != "whole" or found.value.denominator == 1):
            yield found.end, convert_fraction_to_json(found.value)


def _parse_percent_slot(source: Source, at: int, detail: str) -> Read:
    """`5%`, not `5% a month`; as a `reduction` also `八折` (20 per cent off), `85折` and `half off`."""
    for found in source.list_percents_at(at):
        if source.skip_phrase(found.end, *_MONTHLY) == found.end:
            yield found.end, convert_fraction_to_json(found.value)
    if detail == "reduction":
        for found in source.list_numbers_at(at):
            if source.get_word_at(found.end) == "折" and 0 < found.value < 100:
                yield found.end + 1, convert_fraction_to_json(100 - found.value * (10 if found.value < 10 else 1))
        if (end := source.skip_phrase(at, "half off", "half price", "半 价")) > at:
            yield end, 50


def _parse_quantity_slot(source: Source, at: int, detail: str) -> Read:
    """A quantity of the kind of the unit `detail`, as a number of that unit."""
    for found in source.list_quantities_at_token(at):
        if found.unit.kind == find_unit(detail).kind:
            yield found.end, convert_fraction_to_json(round(found.convert_to_unit(detail), 9))


def _parse_duration_slot(source: Source, at: int, detail: str) -> Read:
    """A whole number of exactly that unit: `3 weeks`; below zero with `-wk`; the year of a date is none."""
    for found in () if any(source.list_dates_at_token(at)) else source.list_quantities_at_token(at):
        if found.unit.symbol == detail.strip("-") and found.value.denominator == 1:
            yield found.end, int(found.value) * (-1 if detail[0] == "-" else 1)


def _parse_date_slot(source: Source, at: int, detail: str) -> Read:
    for found in source.list_dates_at_token(at):
        if found.is_sure and not (found.yearless and detail == "full"):
            yield found.end, found.day.isoformat()


def _parse_table_slot(source: Source, at: int, detail: str) -> Read:
    """The material, which stands behind all tokens, when it is a table."""
    if at == len(source.tokens) and source.column_names:
        yield at, source.material


def _parse_column_slot(source: Source, at: int, detail: str) -> Read:
    """The name of a column, in the singular or the plural, with spaces or underscores."""
    for name in source.column_names:
        words = [token.word for token in tokenize_text(normalize_text(name.replace("_", " ")))]
        for spoken in (words, [name.lower()]):
            size, last = len(spoken), spoken[-1] if spoken else ""
            ends = {last, f"{last}s", f"{last}es", last.removesuffix("y") + "ies", last.removesuffix("s")}
            begins = all(source.get_word_at(at + place) == word for place, word in enumerate(spoken[:-1]))
            if begins and source.get_word_at(at + size - 1) in ends:
                yield at + size, name


def _parse_number_list_slot(source: Source, at: int, detail: str) -> Read:
    """Two numbers or more, one behind the other; none where a comma may part or group (`3,5`)."""
    values, stops, groups = list[Fraction](), list[tuple[int, int]](), list[str]()
    while True:
        parts, number = source.get_word_at(at).split(","), next(source.list_numbers_at(at), None)
        if number is None and len(parts) > 1 and all(part.replace(".", "", 1).isdecimal() for part in parts):
            values, at = [*values, *map(Fraction, parts)], at + 1
        elif number is not None:
            values, at, groups = [*values, number.value], number.end, [*groups, *parts[1:]]
        else:
            break
        stops.append((at, len(values)))
        for _ in range(2):
            at = source.skip_phrase(at, *SEPARATORS)
    are_thousands = all(len(part.partition(".")[0]) == 3 for part in groups)
    for end, count in reversed(stops):
        if count > 1 and are_thousands and (count > 2 or len(groups) != 1):
            yield end, [convert_fraction_to_json(value) for value in values[:count]]


def _parse_arithmetic_slot(source: Source, at: int, detail: str) -> Read:
    found = Expression(source, at)
    if found.text and not any(True for place in range(at, found.end) for _ in source.list_dates_at_token(place)):
        yield found.end, found.text


def _parse_name_slot(source: Source, at: int, detail: str) -> Read:
    """A name that the user made up, of up to three words (or eight tokens), none of which changes a meaning."""
    end = at
    while end < len(source.tokens) and end - at < 8:
        is_meant = any(source.list_phrase_ends(MEANINGFUL, end))
        latin = sum(token.word.isascii() for token in source.tokens[at : end + 1])
        if not source.get_word_at(end)[0].isalpha() or is_meant or latin > 3 or next(source.list_numbers_at(end), None):
            break
        end += 1
    yield from ((stop, source.get_text_between(at, stop)) for stop in range(end, at, -1))


KINDS: Mapping[str, Callable[[Source, int, str], Read]] = {
    **dict.fromkeys(("number", "whole", "money"), _parse_number_slot), **dict.fromkeys(("percent", "reduction"), _parse_percent_slot),
    "csv": _parse_table_slot, "": _parse_quantity_slot, "span": _parse_duration_slot, "date": _parse_date_slot, "column": _parse_column_slot,
    "measure": lambda source, at, _: (one for one in _parse_column_slot(source, at, "") if one[1] in source.numeric_columns),
    "numbers": _parse_number_list_slot, "expression": _parse_arithmetic_slot, "name": _parse_name_slot,
    "quantity": lambda source, at, _: ((one.end, (convert_fraction_to_json(one.value), one.symbol)) for one in source.list_quantities_at_token(at)),
    "unit": lambda source, at, _: ((end, name) for _, name, end in source.list_units_at_token(at)),
}  # fmt: skip
"""What reads a slot of a kind; any other kind (`""`) is the name of a unit, to which quantities are converted."""
