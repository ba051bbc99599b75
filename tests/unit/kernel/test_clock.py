from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.kernel.clock import SystemClock, parse_rfc3339, rfc3339

moments = st.datetimes(
    min_value=datetime(1970, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.just(UTC),
)


@given(moments)
def test_what_is_written_reads_back(moment: datetime) -> None:
    assert parse_rfc3339(rfc3339(moment)) == moment


@given(moments, moments)
def test_the_order_of_the_text_is_the_order_in_time(one: datetime, other: datetime) -> None:
    assert (rfc3339(one) < rfc3339(other)) == (one < other)


def test_another_offset_is_turned_into_utc() -> None:
    moment = datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(moment) == "2026-01-31T12:00:00.000000Z"


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        rfc3339(datetime(2026, 1, 31))


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-31T12:00:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)


async def test_the_system_clock_is_aware_and_monotonic() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.now().tzinfo is UTC
