"""Dates, times of day and time zones as people write them, in English and Chinese."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from functools import cache, cached_property
from typing import NamedTuple
from zoneinfo import available_timezones

from nexus.adapters.offline.reading.quantities import Quantities
from nexus.domain.tools.library.moments import MONTHS, zone_names

_MONTH = rf"(?P<name>{'|'.join(sorted(MONTHS, key=len, reverse=True))})(?![a-z])\.?"
_DAY = r"(?P<day>\d{1,2})(?![\d:])(?:st|nd|rd|th)?"
_FEASTS = {"christmas eve": (12, 24), "christmas day": (12, 25), "christmas": (12, 25), "new year's day": (1, 1), "new year's eve": (12, 31),
           "halloween": (10, 31), "valentine's day": (2, 14), "圣诞节": (12, 25), "元旦": (1, 1), "国庆节": (10, 1), "国庆": (10, 1),
           "劳动节": (5, 1), "儿童节": (6, 1), "情人节": (2, 14)}  # fmt: skip
_WEEKDAYS = "mon tue wed thu fri sat sun".split()
_DATES = [re.compile(form) for form in (
    r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})(?![\d/])",
    r"(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second>\d{1,2})(?P=sign)(?P<year>\d{4})(?![\d/])",
    r"(?:(?P<year>\d{4})\s*年\s*)?(?P<month>\d{1,2})\s*月\s*(?P<day>\d{1,2})\s*(?:[日号]|(?!\d))",
    rf"(?:the )?{_DAY}\.? (?:of )?{_MONTH}(?:,? (?P<year>\d{{4}})(?!\d))?",
    rf"{_MONTH} (?:the )?{_DAY}(?:,? (?P<year>\d{{4}})(?!\d))?",
    rf"(?P<feast>{'|'.join(_FEASTS)})(?:,? (?P<year>\d{{4}}))?(?!\d)", rf"(?P<year>\d{{4}})\s*年(?:的\s*)?(?P<feast>{'|'.join(_FEASTS)})",
)]  # fmt: skip
_CLOCKS = [re.compile(form) for form in (
    r"(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?\s*(?P<half>[ap])\.?\s?m(?![a-z])\.?",
    r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?![\d:])",
    r"(?P<half>上午|早上|凌晨|中午|下午|晚上|傍晚)?(?P<hour>\d{1,2}|十[一二]?|[零一二两三四五六七八九])(?:[点时]|(?=:))"
    r"(?::?(?P<minute>半|[0-5]?\d)分?)?整?",
)]  # fmt: skip
_DAYS = {"the day before yesterday": -2, "the day after tomorrow": 2, "day after tomorrow": 2, "yesterday": -1,
         "tomorrow": 1, "today": 0, "前天": -2, "昨天": -1, "今天": 0, "明天": 1, "后天": 2, "大后天": 3}  # fmt: skip
_NOONS = {"noon": "12:00", "midday": "12:00", "midnight": "00:00"}
_HOURS = {sign: at for at, sign in enumerate("零 一 二 三 四 五 六 七 八 九 十 十一 十二".split())} | {"两": 2}


class Day(NamedTuple):
    """A date up to the token `end`; `yearless` when its year was not said: then it is the next such day."""

    day: date
    end: int
    doubt: tuple[str, ...] = ()
    yearless: bool = False


def _days(found: re.Match[str], anchor: date, step: int) -> list[date]:
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


@cache
def zone_words() -> frozenset[str]:
    """Every name of a zone or city in lower case."""
    regions = ("Asia/", "Europe/", "America/", "Africa/", "Australia/", "Pacific/", "Atlantic/")
    cities = {name.rpartition("/")[2] for name in available_timezones() if name.startswith(regions)}
    return frozenset({city.replace("_", " ").lower() for city in cities} | set(zone_names()))


class Moments(Quantities):
    """Reads dates, times and zones that begin at a token; `today` is the model's own day."""

    today: date = date(1970, 1, 1)

    def _phrases(self, at: int, names: dict[str, int] | dict[str, str] | frozenset[str]) -> Iterator[tuple[str, int]]:
        """The names that stand at a token, the longest first."""
        for end in range(min(at + 5, len(self.tokens)), at, -1):
            if (name := " ".join(self.shown(at, end).lower().split())) in names:
                yield name, end

    def dates(self, at: int) -> Iterator[Day]:
        """Every reading as a date, behind its weekday and with the same date in brackets: `Christmas (25 December)`."""
        weekday = self.word(at)[:3] if self.word(at).endswith(("day", self.word(at)[:3])) else ""
        start = self.skip(at + 1, ",", "the") if weekday in _WEEKDAYS else at
        for one in self._plain_dates(start):
            same = next(self._plain_dates(one.end + 1), one) if self.word(one.end) == "(" else one
            end = same.end + 1 if self.word(same.end) == ")" and same.day == one.day else one.end
            if start == at or _WEEKDAYS[one.day.weekday()] == weekday:
                yield one._replace(end=end)

    def _plain_dates(self, at: int) -> Iterator[Day]:
        """`3/4/2026` has two readings, named in `doubt`."""
        for found in (found for form in _DATES if (found := self.found(form, at))):
            if days := _days(found, *self._anchor(found.start())):
                names = tuple(day.isoformat() for day in reversed(days)) if len(days) > 1 else ()
                yield Day(days[-1], self.behind(found.end(), at), names, not found["year"])
        for name, end in self._phrases(at, _DAYS):
            yield Day(self.today + timedelta(days=_DAYS[name]), end)

    @cached_property
    def _marks(self) -> list[tuple[int, bool, date]]:
        """Every date of the text: where it ends, whether its year is said, and the day, else the next such from today."""
        found = [one for form in _DATES for one in form.finditer(self.lower)]
        return sorted((one.end(), bool(one["year"]), day) for one in found for day in _days(one, self.today, 1)[-1:])

    def _anchor(self, place: int) -> tuple[date, int]:
        """What a date without a year is next after (1): the date before it, else today; or before (-1): one that follows."""
        earlier = [day for end, _, day in self._marks if end <= place]
        later = [day for end, has_year, day in self._marks if has_year and end > place]
        return (earlier[-1], 1) if earlier else (later[0], -1) if later else (self.today, 1)

    def clocks(self, at: int) -> Iterator[tuple[str, int]]:
        """Times of day as `15:00`, and where they end."""
        for found in (found for form in _CLOCKS if (found := self.found(form, at))):
            hour, half = _HOURS.get(found["hour"], -1), found.groupdict().get("half")
            hour = int(found["hour"]) if hour < 0 else hour
            minute = 30 if found["minute"] == "半" else int(found["minute"] or 0)
            is_clear = not half or (1 <= hour <= 12 if half in "ap" else hour != 12 or half == "中午")
            if (half in ("p", "下午", "晚上", "傍晚") and hour < 12) or (half == "中午" and hour < 3):
                hour += 12
            hour = 0 if half == "a" and hour == 12 else hour
            if hour < 24 and is_clear:
                yield f"{hour:02d}:{minute:02d}", self.behind(found.end(), at)
        yield from ((_NOONS[name], end) for name, end in self._phrases(at, _NOONS))

    def zones(self, at: int) -> Iterator[tuple[str, int]]:
        """Names of cities and zones, `UTC+8`, and where they end (with the word `time`)."""
        if self.word(at) in ("utc", "gmt") and self.word(at + 1) in ("+", "-") and self.word(at + 2).isdecimal():
            yield self.shown(at, at + 3).upper().replace(" ", ""), at + 3
        for _, end in self._phrases(at, zone_words()):
            yield self.shown(at, end), self.skip(end, "time", "时 间")
