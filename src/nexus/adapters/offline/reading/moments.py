"""Dates, times of day and time zones as people write them, in English and Chinese."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import available_timezones

from nexus.adapters.offline.reading.quantities import Quantities
from nexus.domain.tools.library.moments import MONTHS, zone_names

_DATE = re.compile(
    r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})(?![\d/])"
    r"|(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second>\d{1,2})(?P=mark)(?P<last>\d{4})(?![\d/])"
)
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?\s*(?P<half>[ap]\.?\s?m\b\.?)|(?P<h>\d{1,2}):(?P<m>[0-5]\d)(?![\d:])",
    re.IGNORECASE,
)
_DAYS = {"the day before yesterday": -2, "the day after tomorrow": 2, "day after tomorrow": 2, "yesterday": -1, "tomorrow": 1,
         "today": 0, "前天": -2, "昨天": -1, "今天": 0, "明天": 1, "后天": 2, "大后天": 3}  # fmt: skip
_FEASTS = {"christmas eve": (12, 24), "christmas": (12, 25), "christmas day": (12, 25), "圣诞节": (12, 25), "圣诞": (12, 25),
           "halloween": (10, 31), "new year's eve": (12, 31), "new year's day": (1, 1), "new year": (1, 1), "元旦": (1, 1),
           "valentine's day": (2, 14), "国庆节": (10, 1), "国庆": (10, 1), "劳动节": (5, 1), "情人节": (2, 14)}  # fmt: skip
_HALVES = {"上午": 0, "早上": 0, "凌晨": 0, "中午": 12, "下午": 12, "晚上": 12, "傍晚": 12}
_ORDINALS = ("st", "nd", "rd", "th")


class Day(NamedTuple):
    """A date up to the token `end`; `yearless` when its year was not said: then it is the next such day."""

    day: date
    end: int
    doubt: tuple[str, ...] = ()
    yearless: bool = False


@cache
def zone_words() -> frozenset[str]:
    """Every name of a zone or city in lower case."""
    regions = ("Asia/", "Europe/", "America/", "Africa/", "Australia/", "Pacific/", "Atlantic/")
    cities = {name.rpartition("/")[2] for name in available_timezones() if name.startswith(regions)}
    return frozenset({city.replace("_", " ").lower() for city in cities} | set(zone_names()))


class Moments(Quantities):
    """Reads dates, times and zones that begin at a token; `today` is the model's own day."""

    today: date = date(1970, 1, 1)

    def end_of(self, place: int, at: int) -> int:
        """The first token from `at` on that begins at a place of the text or behind it."""
        while at < len(self.tokens) and self.tokens[at].start < place:
            at += 1
        return at

    def _phrases(self, at: int, names: dict[str, object] | frozenset[str], most: int = 5) -> Iterator[tuple[str, int]]:
        """The names that stand at a token, the longest first."""
        for size in range(min(most, len(self.tokens) - at), 0, -1):
            name = " ".join(self.text[self.tokens[at].start : self.tokens[at + size - 1].end].lower().split())
            if name in names:
                yield name, at + size

    def dates(self, at: int) -> Iterator[Day]:
        """Every reading as a date; `3/4/2026` has two, named in `doubt`."""
        if at >= len(self.tokens):
            return
        if found := _DATE.match(self.text, self.tokens[at].start):
            yield from self._numeric(found, self.end_of(found.end(), at))
        yield from self._chinese_day(at)
        yield from self._named(at)
        for name, end in self._phrases(at, {**_DAYS}):
            yield Day(self.today + timedelta(days=_DAYS[name]), end)
        for name, end in self._phrases(at, {**_FEASTS}):
            year = int(self.word(end)) if re.fullmatch(r"\d{4}", self.word(end)) else None
            yield from self._day(year, *_FEASTS[name], end + bool(year))

    def _numeric(self, found: re.Match[str], end: int) -> Iterator[Day]:
        if found["year"]:
            yield from self._day(int(found["year"]), int(found["month"]), int(found["day"]), end)
            return
        first, second, year = int(found["first"]), int(found["second"]), int(found["last"])
        readings = [[first, second]] if found["mark"] == "." else [[second, first], [first, second]]
        days = [day for pair in readings for day in self._day(year, pair[-1], pair[0], end)]
        names = tuple(dict.fromkeys(day.day.isoformat() for day in days))
        yield from (day._replace(doubt=names if len(names) > 1 else ()) for day in days[:1])

    def _chinese_day(self, at: int) -> Iterator[Day]:
        number, year = next(self.numbers(at), None) if self.word(at - 1) != "年" else None, None
        if number and self.word(number.end) == "年":
            year, number = int(number.value), next(self.numbers(number.end + 1), None)
        if number and self.word(number.end) == "月":
            month, number = int(number.value), next(self.numbers(number.end + 1), None)
            if number and (self.word(number.end) in ("日", "号") or year):
                yield from self._day(
                    year, month, int(number.value), number.end + (self.word(number.end) in ("日", "号"))
                )

    def _named(self, at: int) -> Iterator[Day]:
        """`17 May 1990`, `May 17th, 1990`, `the 17th of May`."""
        start = at + (self.word(at) == "the")
        first = MONTHS.get(self.word(start), 0)
        place = start + 1 if first else start
        place += self.word(place) == "." and bool(first)
        if not self.word(place).isdecimal() or len(self.word(place)) > 2:
            return
        day, end = int(self.word(place)), place + 1
        end += self.word(end) in _ORDINALS or (self.word(end) == "." and not first)
        month = first
        if not month:
            end += self.word(end) == "of"
            month, end = MONTHS.get(self.word(end), 0), end + 1
        behind = end + (self.word(end) in (",", "."))
        if not month:
            return
        if re.fullmatch(r"\d{4}", self.word(behind)):
            yield from self._day(int(self.word(behind)), month, day, behind + 1)
        else:
            yield from self._day(None, month, day, end)

    def _day(self, year: int | None, month: int, day: int, end: int) -> Iterator[Day]:
        try:
            if year is not None:
                yield Day(date(year, month, day), end)
                return
            this = date(self.today.year, month, day)
            yield Day(this if this >= self.today else date(self.today.year + 1, month, day), end, yearless=True)
        except ValueError:
            return

    def clocks(self, at: int) -> Iterator[tuple[str, int]]:
        """Times of day as `15:00`, and where they end."""
        if at >= len(self.tokens):
            return
        if found := _CLOCK.match(self.text, self.tokens[at].start):
            hour, minute, half = (
                int(found["hour"] or found["h"]),
                int(found["minute"] or found["m"] or 0),
                found["half"],
            )
            if hour < 24 and not (half and not 1 <= hour <= 12):
                hour = hour if not half else hour % 12 + 12 * (half[0].lower() == "p")
                yield f"{hour:02d}:{minute:02d}", self.end_of(found.end(), at)
        for name, end in self._phrases(at, {"noon": 12, "midday": 12, "midnight": 0}, 1):
            yield ("00:00" if name == "midnight" else "12:00"), end
        yield from self._chinese_clock(at)

    def _chinese_clock(self, at: int) -> Iterator[tuple[str, int]]:
        half = next(iter(self._phrases(at, {**_HALVES}, 2)), None)
        number = next(iter(self._whole(half[1] if half else at)), None)
        if number is None or self.word(number[1]) not in ("点", "时", ":"):
            return
        hour, end, minute = number[0], number[1] + 1, 0
        if self.word(end) == "半":
            minute, end = 30, end + 1
        elif more := next(iter(self._whole(end)), None):
            minute, end = more[0], more[1] + (self.word(more[1]) == "分")
        if half and hour == 12 and half[0] != "中午":
            return
        if half and _HALVES[half[0]] and hour < 12:
            hour += 12
        if hour < 24 and minute < 60:
            yield f"{hour:02d}:{minute:02d}", end + (self.word(end) == "整")

    def _whole(self, at: int) -> Iterator[tuple[int, int]]:
        """A whole number without a fraction behind `点`: there it would be the minutes."""
        if self.word(at).isdecimal() and len(self.word(at)) < 3:
            yield int(self.word(at)), at + 1
        elif self.word(at) and self.word(at) in "零一二两三四五六七八九十":
            value, end = 0, at
            while end - at < 3 and self.word(end) and self.word(end) in "零一二两三四五六七八九十":
                value = (
                    (value or 1) * 10
                    if self.word(end) == "十"
                    else value + "零一二三四五六七八九两".index(self.word(end)) % 10
                )
                value += 2 * (self.word(end) == "两")
                end += 1
            yield value, end

    def zones(self, at: int) -> Iterator[tuple[str, int]]:
        """Names of cities and zones, `UTC+8`, and where they end (with the word `time`)."""
        if self.word(at) in ("utc", "gmt") and self.word(at + 1) in ("+", "-") and self.word(at + 2).isdecimal():
            yield f"{self.word(at)}{self.word(at + 1)}{self.word(at + 2)}".upper(), at + 3
        for _, end in self._phrases(at, zone_words(), 4):
            yield self.text[self.tokens[at].start : self.tokens[end - 1].end], end + self._time_word(end)

    def _time_word(self, at: int) -> int:
        if self.word(at) == "time":
            return 1
        return 2 if self.word(at) == "时" and self.word(at + 1) == "间" else 0
