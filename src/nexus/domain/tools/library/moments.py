"""Dates, times and time zones as people write them."""

import calendar
import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nexus.domain.tools.model import ToolError

MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
_FORMS = (
    re.compile(r"(?P<year>\d{4})\s*(?:[-/.]|年)\s*(?P<month>\d{1,2})\s*(?:[-/.]|月)\s*(?P<day>\d{1,2})(?:\s*[日号])?"),
    re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"),
    re.compile(r"(?P<name>[A-Za-z]{3,9})\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?\s*,?\s+(?P<year>\d{4})"),
    re.compile(r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<name>[A-Za-z]{3,9})\.?,?\s+(?P<year>\d{4})"),
)
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?:[:时点](?P<minute>\d{1,2}|半)?分?)?(?::(?P<second>\d{1,2}))?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
)
_ZONES: Mapping[str, str] = {
    "utc": "UTC", "gmt": "UTC", "z": "UTC", "世界协调时": "UTC",
    "beijing": "Asia/Shanghai", "北京": "Asia/Shanghai", "shanghai": "Asia/Shanghai", "上海": "Asia/Shanghai", "中国": "Asia/Shanghai",
    "china": "Asia/Shanghai", "shenzhen": "Asia/Shanghai", "深圳": "Asia/Shanghai", "广州": "Asia/Shanghai",
    "香港": "Asia/Hong_Kong", "台北": "Asia/Taipei", "东京": "Asia/Tokyo", "首尔": "Asia/Seoul", "新加坡": "Asia/Singapore",
    "伦敦": "Europe/London", "巴黎": "Europe/Paris", "柏林": "Europe/Berlin", "莫斯科": "Europe/Moscow", "迪拜": "Asia/Dubai",
    "纽约": "America/New_York", "洛杉矶": "America/Los_Angeles", "旧金山": "America/Los_Angeles", "芝加哥": "America/Chicago",
    "悉尼": "Australia/Sydney", "孟买": "Asia/Kolkata", "mumbai": "Asia/Kolkata", "delhi": "Asia/Kolkata", "india": "Asia/Kolkata",
    "san francisco": "America/Los_Angeles", "seattle": "America/Los_Angeles", "boston": "America/New_York",
    "washington": "America/New_York", "japan": "Asia/Tokyo", "korea": "Asia/Seoul", "germany": "Europe/Berlin", "uk": "Europe/London",
    "pacific": "America/Los_Angeles", "eastern": "America/New_York", "central": "America/Chicago", "mountain": "America/Denver",
    "et": "America/New_York", "ct": "America/Chicago", "mt": "America/Denver", "pt": "America/Los_Angeles",
    "est": "America/New_York", "edt": "America/New_York", "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles",
    "cet": "Europe/Paris", "cest": "Europe/Paris", "jst": "Asia/Tokyo", "ist": "Asia/Kolkata", "bst": "Europe/London",
}  # fmt: skip
_REGIONS = ("Asia", "Europe", "America", "Africa", "Australia", "Pacific", "Atlantic")


def parse_date(text: str) -> date:
    """A date as people write it: ISO, `2026/1/31`, `2026年1月31日`, `Jan 31, 2026`, `31 January 2026`."""
    return _parse_leading_date(text)[0]


def _parse_leading_date(text: str) -> tuple[date, str]:
    """The date at the start of a text, and what stands behind it."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if len(plain) > 60:
        raise ToolError("A date is shorter than that.")
    for form in _FORMS:
        found = form.match(plain)
        if found and (rest := plain[found.end() :])[:1] in ("", "T", " ", ",", "\t", *"上下早晚中凌"):
            return _make_date(found.groupdict(), plain), rest.lstrip("T, \t")
        if found and plain[found.end() - 1] in "日号":
            return _make_date(found.groupdict(), plain), rest
    raise ToolError(f"{text[:60]!r} is not a date; write it like 2026-01-31.")


def _make_date(parts: Mapping[str, str], text: str) -> date:
    month = MONTHS.get(parts["name"].lower(), 0) if "name" in parts else int(parts["month"])
    try:
        return date(int(parts["year"]), month, int(parts["day"]))
    except ValueError:
        raise ToolError(f"There is no day {text!r} in the calendar.") from None


def parse_time(text: str) -> datetime:
    """A date and time as people write them; with a zone only where the text is ISO and has an offset."""
    plain = unicodedata.normalize("NFKC", text).strip()
    try:
        return datetime.fromisoformat(plain)
    except ValueError:
        day, clock = _parse_leading_date(plain)
    if not clock:
        return datetime(day.year, day.month, day.day)
    half = next((half for word, half in _HALVES.items() if clock.startswith(word)), "")
    found = _CLOCK.fullmatch(clock.lstrip("上下午早晚中凌晨 "))
    if not found:
        raise ToolError(f"{text[:60]!r} is not a time; write it like 2026-01-31 14:30.")
    minute = 30 if found["minute"] == "半" else int(found["minute"] or 0)
    hour = _convert_to_24_hour(int(found["hour"]), (found["half"] or half)[:1].lower())
    try:
        return datetime(day.year, day.month, day.day, hour, minute, int(found["second"] or 0))
    except ValueError:
        raise ToolError(f"{text[:60]!r} is not a time of the day.") from None


def _convert_to_24_hour(hour: int, half: str) -> int:
    if not half or hour > 12:
        return hour
    return hour % 12 + (12 if half == "p" else 0)


_HALVES = {"上午": "am", "早上": "am", "凌晨": "am", "中午": "pm", "下午": "pm", "晚上": "pm"}


def find_zone(text: str) -> tuple[tzinfo, str]:
    """A time zone by its name, a city, or its distance to UTC; and the name to show."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if not plain or len(plain) > 60:
        raise ToolError("A time zone needs a name, for example Asia/Shanghai.")
    if found := re.fullmatch(r"(?:UTC|GMT)?\s*([+-])(\d{1,2})(?::?([0-5]\d))?", plain, re.IGNORECASE):
        shift = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        if shift > timedelta(hours=14):
            raise ToolError("No time zone is farther than 14 hours from UTC.")
        return timezone(-shift if found[1] == "-" else shift), plain.upper()
    known = _ZONES.get(plain.lower().removesuffix("时间"))
    city = "_".join(word.capitalize() for word in plain.replace("_", " ").split())
    for name in (known, plain, *(f"{region}/{city}" for region in _REGIONS)):
        try:
            if name:
                return ZoneInfo(name), name
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    raise ToolError(f"The time zone {text[:60]!r} is not known; write it like Asia/Shanghai or UTC+8.")
