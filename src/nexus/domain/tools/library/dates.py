"""Dates, times and time zones."""

import calendar
from datetime import UTC, date, datetime, timedelta
from typing import Any

from nexus.domain.core.instants import Clock
from nexus.domain.tools.library.moments import find_zone, parse_date, parse_time
from nexus.domain.tools.model import ToolError

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKDAYS_ZH = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")
_FARTHEST = 4_000_000


def date_difference(start: str, end: str) -> dict[str, Any]:
    """Counts the days, weeks, business days (Monday to Friday) and calendar years, months and days between two dates.

    Args:
        start: The first date, for example "2026-01-31" or "2026年1月31日". It is not counted itself.
        end: The second date. When it is the earlier one, the numbers are negative.
    """
    first, last = parse_date(start), parse_date(end)
    days = (last - first).days
    years, months, rest = _count_years_months_days(*sorted((first, last)))
    sign = 1 if days >= 0 else -1
    working = _count_business_days(*sorted((first, last))) * sign
    between = {"years": years * sign, "months": months * sign, "days": rest * sign}
    return {"days": days, "weeks": round(days / 7, 2), "business_days": working, "calendar": between,
            "text": f"From {first} to {last}: {days} days."}  # fmt: skip


def add_to_date(
    start: str, days: int = 0, weeks: int = 0, months: int = 0, years: int = 0, business_days: int = 0
) -> dict[str, Any]:
    """Adds a span to a date; negative numbers go back. Years and months first (the 31st becomes the last day of a shorter month).

    Args:
        start: The date, for example "2026-01-31".
        days: Days to add.
        weeks: Weeks to add.
        months: Months to add.
        years: Years to add.
        business_days: Days from Monday to Friday to add, after all others.
    """
    begun = parse_date(start)
    if any(abs(amount) > _FARTHEST for amount in (days, weeks, months, years, business_days)):
        raise ToolError("The span is too long.")
    try:
        moved = _add_months(begun, years * 12 + months) + timedelta(days=days + weeks * 7)
        moved = _add_business_days(moved, business_days)
    except (OverflowError, ValueError):
        raise ToolError("The date would be outside of the years 1 to 9999.") from None
    text = f"{moved.isoformat()} ({_WEEKDAYS[moved.weekday()]})"
    return {"date": moved.isoformat(), **_make_weekday_names(moved), "text": text}


def weekday_of(day: str) -> dict[str, Any]:
    """Tells the day of the week, the ISO week and the day of the year of a date.

    Args:
        day: The date, for example "2026-01-31".
    """
    wanted = parse_date(day)
    year, week, _ = wanted.isocalendar()
    return {"date": wanted.isoformat(), **_make_weekday_names(wanted), "iso_week": f"{year}-W{week:02d}", "day_of_year": wanted.timetuple().tm_yday,
            "leap_year": calendar.isleap(wanted.year), "text": f"{wanted} is a {_WEEKDAYS[wanted.weekday()]}."}  # fmt: skip


def current_time(timezone: str = "UTC", *, clock: Clock) -> dict[str, Any]:
    """Tells the present date and time in a time zone.

    Args:
        timezone: A zone or city, for example "Asia/Shanghai", "New York", "北京" or "UTC+8".
    """
    zone, name = find_zone(timezone)
    now = datetime.fromtimestamp(clock(), UTC).astimezone(zone)
    return _make_datetime_fields(now, name)


def days_until(day: str, timezone: str = "UTC", *, clock: Clock) -> dict[str, Any]:
    """Counts the days from today to a date; negative when it is past.

    Args:
        day: The date, for example "2026-12-25".
        timezone: Where "today" is meant, a zone or city.
    """
    zone, _ = find_zone(timezone)
    today = datetime.fromtimestamp(clock(), UTC).astimezone(zone).date()
    wanted = parse_date(day)
    days = (wanted - today).days
    past = f"{wanted} was {-days} days ago." if days else f"{wanted} is today."
    said = f"{days} days until {wanted}." if days > 0 else past
    return {"days": days, "today": today.isoformat(), "date": wanted.isoformat(), "text": said}


def convert_time_zone(time: str, from_zone: str, to_zone: str) -> dict[str, Any]:
    """Converts a date and time from one time zone to another, daylight saving included.

    Args:
        time: The date and time, for example "2026-03-08 14:30".
        from_zone: The zone it is in, for example "America/New_York", "Beijing" or "UTC+8".
        to_zone: The zone that is wanted.
    """
    (source, source_name), (target, target_name) = find_zone(from_zone), find_zone(to_zone)
    there = parse_time(time)
    if there.tzinfo:
        source_name = there.tzname() or source_name
    else:
        there = there.replace(tzinfo=source)
    try:
        if there.astimezone(UTC).astimezone(there.tzinfo).replace(fold=0) != there.replace(fold=0):
            raise ToolError(f"{time} does not exist in {source_name}: clocks are put forward then.")
        moved = there.astimezone(target)
    except (OverflowError, ValueError):
        raise ToolError("The date would be outside of the years 1 to 9999.") from None
    said = f"{there:%Y-%m-%d %H:%M} {source_name} = {moved:%Y-%m-%d %H:%M} {target_name}"
    return {**_make_datetime_fields(moved, target_name), "from": there.isoformat(), "text": said}


def _make_datetime_fields(moment: datetime, zone: str) -> dict[str, Any]:
    return {
        "time": moment.isoformat(timespec="seconds"),
        "date": moment.date().isoformat(),
        "clock": f"{moment:%H:%M:%S}",
        **_make_weekday_names(moment.date()),
        "timezone": zone,
        "text": f"{moment:%Y-%m-%d %H:%M:%S} ({_WEEKDAYS[moment.weekday()]}) {zone}",
    }


def _make_weekday_names(day: date) -> dict[str, str]:
    return {"weekday": _WEEKDAYS[day.weekday()], "weekday_zh": _WEEKDAYS_ZH[day.weekday()]}


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1] if 1 <= year <= 9999 else 28
    return day.replace(year=year, month=month + 1, day=min(day.day, last))


def _add_business_days(day: date, count: int) -> date:
    """Saturday and Sunday are passed over; with none to add the day stays, whatever it is."""
    if not count:
        return day
    step = 1 if count > 0 else -1
    while day.weekday() > 4:
        day -= timedelta(days=step)
    weeks, rest = divmod(abs(count), 5)
    day += timedelta(days=7 * weeks * step)
    while rest:
        day += timedelta(days=step)
        rest -= day.weekday() < 5
    return day


def _count_business_days(first: date, last: date) -> int:
    """Mondays to Fridays after `first`, up to and including `last`."""
    weeks, rest = divmod((last - first).days, 7)
    return weeks * 5 + sum((first + timedelta(days=step)).weekday() < 5 for step in range(1, rest + 1))


def _count_years_months_days(first: date, last: date) -> tuple[int, int, int]:
    months = (last.year - first.year) * 12 + last.month - first.month
    if _add_months(first, months) > last:
        months -= 1
    return *divmod(months, 12), (last - _add_months(first, months)).days
