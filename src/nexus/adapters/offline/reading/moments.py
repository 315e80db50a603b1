"""Dates as people write them, in English and Chinese."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from functools import cached_property
from typing import NamedTuple

from nexus.adapters.offline.reading.quantities import Quantities
from nexus.domain.tools.library.moments import MONTHS

_MONTH = rf"(?P<name>{'|'.join(sorted(MONTHS, key=len, reverse=True))})(?![a-z])\.?"
_DAY = r"(?P<day>\d{1,2})(?![\d:])(?:st|nd|rd|th)?"
_FEASTS = {"christmas eve": (12, 24), "christmas day": (12, 25), "christmas": (12, 25), "圣诞节": (12, 25),
           "new year's day": (1, 1), "new year's eve": (12, 31), "元旦": (1, 1), "国庆节": (10, 1)}  # fmt: skip
_WEEKDAYS = "mon tue wed thu fri sat sun".split()
_DATES = [re.compile(form) for form in (
    r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})(?![\d/])",
    r"(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second>\d{1,2})(?P=sign)(?P<year>\d{4})(?![\d/])",
    r"(?:(?P<year>\d{4})\s*年\s*)?(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*(?:[日号]|(?!\d))",
    rf"(?:the )?{_DAY}\.? (?:of )?{_MONTH}(?:,? (?P<year>\d{{4}})(?!\d))?",
    rf"{_MONTH} (?:the )?{_DAY}(?:,? (?P<year>\d{{4}})(?!\d))?",
    rf"(?P<feast>{'|'.join(_FEASTS)})(?:,? (?P<year>\d{{4}}))?(?!\d)", rf"(?P<year>\d{{4}})\s*年(?:的\s*)?(?P<feast>{'|'.join(_FEASTS)})",
)]  # fmt: skip
_DAYS = {"the day before yesterday": -2, "the day after tomorrow": 2, "day after tomorrow": 2, "yesterday": -1,
         "tomorrow": 1, "today": 0, "前 天": -2, "昨 天": -1, "今 天": 0, "明 天": 1, "后 天": 2, "大 后 天": 3}  # fmt: skip


class Day(NamedTuple):
    """A date up to the token `end`; `yearless` when its year was not said: then it is the next such day.

    `is_sure` is false where day and month may be swapped, as in `3/4/2026`."""

    day: date
    end: int
    yearless: bool = False
    is_sure: bool = True


def _make_possible_dates(found: re.Match[str], anchor: date, step: int) -> list[date]:
    """The days that a date can mean; without a year, the next from the anchor in the direction of `step`."""
    parts = found.groupdict()
    if "feast" in parts:
        pairs = [_FEASTS[parts["feast"]]]
    elif "first" not in parts:
        month = MONTHS[parts["name"]] if "name" in parts else int(parts["month"])
        pairs = [(month, int(parts["day"]))]
    else:
        first, second = int(parts["first"]), int(parts["second"])
        pairs = [(second, first)] + [(first, second)] * (parts["sign"] != ".")
    days = list[date]()
    for month, day in pairs:
        with suppress(ValueError):
            near = date(int(parts["year"] or anchor.year), month, day)
            is_near = bool(parts["year"]) or (near - anchor).days * step >= 0
            days.append(near if is_near else date(near.year + step, month, day))
    return list(dict.fromkeys(days))


class Moments(Quantities):
    """Reads dates that begin at a token; `today` is the model's own day."""

    today: date = date(1970, 1, 1)

    def list_dates_at_token(self, at: int) -> Iterator[Day]:
        """Every reading as a date, behind its weekday."""
        weekday = self.get_word_at(at)[:3] if self.get_word_at(at).endswith(("day", self.get_word_at(at)[:3])) else ""
        start = self.skip_phrase(at + 1, ",", "the") if weekday in _WEEKDAYS else at
        for one in self._parse_dates_at_token(start):
            if start == at or _WEEKDAYS[one.day.weekday()] == weekday:
                yield one

    def _parse_dates_at_token(self, at: int) -> Iterator[Day]:
        for found in (found for form in _DATES if (found := self.match_regex_at(form, at))):
            if days := _make_possible_dates(found, *self._find_reference_date(found.start())):
                yield Day(days[-1], self.find_token_after(found.end(), at), not found["year"], len(days) == 1)
        for name, days_on in _DAYS.items():
            if (end := self.skip_phrase(at, name)) > at:
                yield Day(self.today + timedelta(days=days_on), end)

    @cached_property
    def _dates_in_text(self) -> list[tuple[int, bool, date]]:
        """Every date of the text: where it ends, whether its year is said, and the day, else the next such from today."""
        found = [one for form in _DATES for one in form.finditer(self.lower)]
        return sorted(
            (one.end(), bool(one["year"]), day)
            for one in found
            for day in _make_possible_dates(one, self.today, 1)[-1:]
        )

    def _find_reference_date(self, place: int) -> tuple[date, int]:
        """What a date without a year is next after (1): the date before it, else today; or before (-1): one that follows."""
        earlier = [day for end, _, day in self._dates_in_text if end <= place]
        later = [day for end, has_year, day in self._dates_in_text if has_year and end > place]
        return (earlier[-1], 1) if earlier else (later[0], -1) if later else (self.today, 1)
