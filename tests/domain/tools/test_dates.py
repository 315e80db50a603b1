from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.domain.tools.library.dates import (
    add_to_date,
    convert_time_zone,
    current_time,
    date_difference,
    days_until,
    weekday_of,
)
from nexus.domain.tools.model import ToolError

NOW = 1_800_000_000.0


def test_the_days_between_dates_are_counted() -> None:
    found = date_difference("2026-01-31", "2026年3月1日")
    assert (found["days"], found["business_days"], found["calendar"]) == (29, 20, {"years": 0, "months": 1, "days": 1})
    assert date_difference("Mar 1, 2026", "31 January 2026")["days"] == -29
    assert date_difference("2024/2/28", "2025-02-28")["days"] == 366


@pytest.mark.parametrize(
    ("start", "span", "end"),
    [
        ("2026-01-31", {"months": 1}, "2026-02-28"), ("2024-02-29", {"years": 1}, "2025-02-28"), ("2026-11-20", {"business_days": 1}, "2026-11-23"),
        ("2026-11-21", {"business_days": -1}, "2026-11-20"), ("2026-11-21", {"business_days": 1}, "2026-11-23"), ("2026-11-20", {"business_days": 10}, "2026-12-04"),
        ("2026-12-31", {"days": 1}, "2027-01-01"), ("2026-03-31", {"months": -1}, "2026-02-28"), ("2026-01-01", {"weeks": 2}, "2026-01-15"),
    ],
)  # fmt: skip
def test_spans_are_added(start: str, span: dict[str, int], end: str) -> None:
    assert add_to_date(start, **span)["date"] == end


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 800))
def test_business_days_there_are_business_days_back(start: date, count: int) -> None:
    if start.weekday() < 5:
        end = add_to_date(start.isoformat(), business_days=count)["date"]
        assert date_difference(start.isoformat(), end)["business_days"] == count


@given(st.dates(), st.dates())
def test_any_two_dates_have_a_difference(one: date, other: date) -> None:
    assert timedelta(date_difference(one.isoformat(), other.isoformat())["days"]) == other - one


def test_weekdays_are_told_in_two_languages() -> None:
    found = weekday_of("2026-11-21")
    assert (found["weekday"], found["weekday_zh"], found["iso_week"]) == ("Saturday", "星期六", "2026-W47")


def test_the_time_is_that_of_the_clock_handed_in() -> None:
    assert current_time("北京", clock=lambda: NOW)["time"] == "2027-01-15T16:00:00+08:00"
    assert current_time("new york", clock=lambda: NOW)["time"] == "2027-01-15T03:00:00-05:00"
    assert current_time("UTC-3:30", clock=lambda: NOW)["clock"] == "04:30:00"
    assert days_until("2027-12-25", clock=lambda: NOW)["days"] == 344
    assert days_until("2027-01-16", "Pacific/Auckland", clock=lambda: NOW + 6 * 3600)["days"] == 0


def test_times_move_between_zones_with_daylight_saving() -> None:
    assert convert_time_zone("2026-03-08 14:30", "New York", "北京时间")["time"] == "2026-03-09T02:30:00+08:00"
    assert convert_time_zone("2026年3月8日 下午3点半", "北京", "UTC")["clock"] == "07:30:00"
    assert convert_time_zone("2026-03-08 12am", "Beijing", "Asia/Tokyo")["clock"] == "01:00:00"
    assert convert_time_zone("2026-01-01T00:00:00Z", "Beijing", "Tokyo")["clock"] == "09:00:00"
    with pytest.raises(ToolError, match="does not exist"):
        convert_time_zone("2026-03-08 02:30", "America/New_York", "UTC")


@pytest.mark.parametrize("text", ["2026-02-30", "soon", "", "2026-13-01", "99999-01-01", "2026-01-01x", "1" * 100])
def test_what_is_no_date_is_a_sentence(text: str) -> None:
    with pytest.raises(ToolError):
        weekday_of(text)


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/passwd", "", "Mars", "UTC+25", "\x00", "posixrules/../x"])
def test_what_is_no_zone_is_a_sentence(zone: str) -> None:
    with pytest.raises(ToolError):
        current_time(zone, clock=lambda: NOW)


def test_a_date_outside_of_the_calendar_is_a_sentence() -> None:
    for span in ({"years": 9000}, {"days": -4_000_000}, {"days": 10**12}, {"months": -30_000}):
        with pytest.raises(ToolError):
            add_to_date("2026-01-01", **span)
