"""When schedules fire, with days that have 23 and 25 hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.jobs.schedules.cron import CronError, next_time, next_times


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "wanted"),
    [
        ("*/15 * * * *", "UTC", "2026-01-01T00:07:30", ["2026-01-01T00:15", "2026-01-01T00:30"]),
        ("0 6 * * 1-5", "Europe/Berlin", "2026-01-02T06:00", ["2026-01-05T05:00", "2026-01-06T05:00"]),
        ("0 6 * * 1-5", "Europe/Berlin", "2026-07-03T06:00", ["2026-07-06T04:00", "2026-07-07T04:00"]),
        ("@daily", "America/New_York", "2026-01-01T00:00", ["2026-01-01T05:00", "2026-01-02T05:00"]),
        ("*/10 * * * * *", "UTC", "2026-01-01T00:00:05", ["2026-01-01T00:00:10", "2026-01-01T00:00:20"]),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        # 2026-03-29, 02:00 to 03:00 does not exist in Berlin: right after it, and the next day as ever.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        # 2026-10-25, 02:30 comes twice in Berlin: once.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
    ],
)
def test_the_next_times(cron: str, zone: str, after: str, wanted: list[str]) -> None:
    assert next_times(cron, zone, at(after), 2) == [at(one) for one in wanted]


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        ("", "UTC"), ("* * * *", "UTC"), ("60 * * * *", "UTC"), ("x y z a b", "UTC"), ("@reboot", "UTC"),
        ("* * * * *", "Mars/Olympus"), ("* * * * *", "../etc/passwd"), ("* * * * *", ""),
    ],
)  # fmt: skip
def test_what_has_no_time_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(CronError):
        next_time(cron, zone, at("2026-01-01T00:00"))


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    after=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)
def test_a_daily_time_comes_once_a_day(minute: int, hour: int, zone: str, after: datetime) -> None:
    found = next_times(f"{minute} {hour} * * *", zone, after.replace(tzinfo=UTC), 5)
    assert found == sorted(set(found))
    assert found[0] > after.replace(tzinfo=UTC)
    for one, other in pairwise(found):
        assert timedelta(hours=22) <= other - one <= timedelta(hours=26)
