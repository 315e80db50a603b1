"""Dates and times of day as people write them, read into ISO form."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
_DAYS = {
    "day before yesterday": -2, "day after tomorrow": 2, "yesterday": -1, "tomorrow": 1, "today": 0,
    "前天": -2, "昨天": -1, "今天": 0, "明天": 1, "后天": 2,
}  # fmt: skip
_FEASTS = {
    r"christmas eve|平安夜": (12, 24), r"christmas|圣诞节?": (12, 25), r"new year'?s eve|除夕夜|跨年": (12, 31), r"new year'?s? ?(?:day)?|元旦": (1, 1),
    r"valentine'?s day|情人节": (2, 14), r"halloween|万圣节": (10, 31), r"national day|国庆节?": (10, 1), r"labou?r day|劳动节|五一": (5, 1),
}  # fmt: skip


class Dated(NamedTuple):
    """A date found in a text, as `2026-01-31`, and where it stood."""

    iso: str
    start: int
    end: int


def dates_in(text: str, today: date) -> list[Dated]:
    """All dates of a text in order; a date without a year is the next one from today."""
    found: list[Dated] = []
    for pattern, read in _FORMS:
        for match in pattern.finditer(text):
            day = read(match, today)
            if day and not any(match.start() < one.end and one.start < match.end() for one in found):
                found.append(Dated(day.isoformat(), match.start(), match.end()))
    return sorted(found, key=lambda one: one.start)


def without_dates(text: str, today: date) -> str:
    """The text with its dates blanked, so that their digits are not read as numbers."""
    for one in dates_in(text, today):
        text = text[: one.start] + " " * (one.end - one.start) + text[one.end :]
    return text


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _month(name: str) -> int:
    return next(at for at, month in enumerate(_MONTHS, 1) if month.startswith(name.lower()[:3]))


def _coming(month: int, day: int, today: date) -> date | None:
    this_year = _day(today.year, month, day)
    return this_year if this_year and this_year >= today else _day(today.year + 1, month, day)


def _numeric(found: re.Match[str], today: date) -> date | None:
    return _day(int(found[1]), int(found[2]), int(found[3]))


def _month_first(found: re.Match[str], today: date) -> date | None:
    month, day = _month(found[1]), int(found[2])
    return _day(int(found[3]), month, day) if found[3] else _coming(month, day, today)


def _day_first(found: re.Match[str], today: date) -> date | None:
    day, month = int(found[1]), _month(found[2])
    return _day(int(found[3]), month, day) if found[3] else _coming(month, day, today)


def _chinese(found: re.Match[str], today: date) -> date | None:
    return _coming(int(found[1]), int(found[2]), today)


def _relative(found: re.Match[str], today: date) -> date | None:
    return today + timedelta(days=_DAYS[found[0].lower()])


def _feast(month: int, day: int) -> Callable[[re.Match[str], date], date | None]:
    def read(found: re.Match[str], today: date) -> date | None:
        year = found.group("year")
        return _day(int(year), month, day) if year else _coming(month, day, today)

    return read


_FORMS: list[tuple[re.Pattern[str], Callable[[re.Match[str], date], date | None]]] = [
    (re.compile(r"(?<!\d)(\d{4})\s?[-/.年]\s?(\d{1,2})\s?[-/.月]\s?(\d{1,2})(?!\d)\s?[日号]?"), _numeric),
    (re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(\d{{4}}))?\b", re.IGNORECASE), _month_first),
    (
        re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}(?:,?\s+(\d{{4}}))?\b", re.IGNORECASE),
        _day_first,
    ),
    (re.compile(r"(?<!\d)(\d{1,2})\s?月\s?(\d{1,2})\s?[日号]"), _chinese),
    (re.compile("|".join(_DAYS), re.IGNORECASE), _relative),
    *(
        (re.compile(rf"(?:{words})(?:\s+(?P<year>\d{{4}}))?", re.IGNORECASE), _feast(*day))
        for words, day in _FEASTS.items()
    ),
]
