"""Where records and their entries lie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runstead.capabilities.records.keys import (
    PREFIX_CHARS_MAX,
    Layout,
    date_of_run,
    entry_name,
    is_entry_name,
    is_received_since,
    name_before,
)
from runstead.capabilities.records.model import Scope, is_name
from runstead.kernel.ids import IdSource
from runstead.platform.storage.objects import check_key, check_prefix

NAMES = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", fullmatch=True)
SCOPES = st.builds(Scope, NAMES, NAMES, NAMES)
# What a server's clock may say.
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
LAYOUT = Layout("p" * PREFIX_CHARS_MAX)


@given(SCOPES, NAMES, st.dates())
@example(Scope("o" * 128, "p" * 128, "s" * 128), "r" * 128, datetime(2026, 1, 1).date())
def test_a_key_of_a_record_is_a_key_and_tells_its_parts(scope: Scope, run_id: str, date: datetime) -> None:
    key = check_key(LAYOUT.record(scope, run_id, str(date)))
    assert LAYOUT.parse_record(key) == (scope, run_id, str(date))


@given(SCOPES, NAMES, MOMENTS)
@example(Scope("o" * 128, "p" * 128, "s" * 128), "r" * 128, datetime(2026, 1, 1, tzinfo=UTC))
def test_every_other_key_is_a_key_and_none_of_a_record(scope: Scope, name: str, moment: datetime) -> None:
    entry = entry_name(moment, name)
    keys = [
        LAYOUT.marker,
        LAYOUT.run_date(scope, name),
        LAYOUT.latest(scope),
        LAYOUT.time(scope, entry),
        LAYOUT.commit(scope, name, entry),
    ]
    assert len(set(map(check_key, keys))) == len(keys)
    assert not any(map(LAYOUT.parse_record, keys))
    assert keys[3].startswith(check_prefix(LAYOUT.times(scope)))
    assert keys[4].startswith(check_prefix(LAYOUT.commits(scope, name)))


@given(SCOPES, SCOPES, NAMES, NAMES)
def test_different_runs_have_different_keys(one: Scope, other: Scope, first: str, second: str) -> None:
    same = (one, first) == (other, second)
    assert (LAYOUT.record(one, first, "2026-01-01") == LAYOUT.record(other, second, "2026-01-01")) == same


@given(MOMENTS, MOMENTS, NAMES, NAMES)
def test_entries_sort_newest_first(earlier: datetime, later: datetime, one: str, other: str) -> None:
    if earlier == later:
        return
    earlier, later = sorted((earlier, later))
    first, second = entry_name(later, one), entry_name(earlier, other)
    assert is_entry_name(first)
    assert is_entry_name(second)
    assert first < second
    scope = Scope("o", "p", "s")
    assert LAYOUT.time(scope, first) < LAYOUT.time(scope, second)


@given(MOMENTS, NAMES, st.timedeltas(timedelta(microseconds=1), timedelta(days=300)))
def test_a_range_of_time_holds_its_beginning_and_not_its_end(
    moment: datetime, run: str, step: timedelta
) -> None:
    name = entry_name(moment, run)
    assert is_received_since(name, moment)
    assert is_received_since(name, moment - timedelta(microseconds=1))
    assert name < name_before(moment)
    if moment.year < 9998:
        assert not is_received_since(name, moment + step)
        assert name > name_before(moment + step)


@given(st.integers(0, 253_402_300_799_999))
def test_a_uuid7_tells_its_date(milliseconds: int) -> None:
    run_id = IdSource(now_ms=lambda: milliseconds).uuid7()
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert date_of_run(run_id) == moment.strftime("%Y-%m-%d")


@pytest.mark.parametrize(
    "run_id",
    [
        "run-1",
        "01890A5D-AC96-774B-BCCE-B302099A8057",
        "01890a5d-ac96-474b-bcce-b302099a8057",
        "01890a5d-ac96-774b-0cce-b302099a8057",
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "",
    ],
)
def test_other_ids_tell_none(run_id: str) -> None:
    assert date_of_run(run_id) is None


@pytest.mark.parametrize(
    "key",
    [
        "stricture/v1/org=a/project=b/service=c/date=2026-01-01/run=r/payload.json.bak",
        "other/v1/org=a/project=b/service=c/date=2026-01-01/run=r/payload.json",
        "stricture/v1/org=.a/project=b/service=c/date=2026-01-01/run=r/payload.json",
        "stricture/v1/org=a/project=b/service=c/date=20260101/run=r/payload.json",
        "stricture/v1/format.json",
    ],
)
def test_what_is_no_key_of_a_record_is_none(key: str) -> None:
    assert Layout("stricture").parse_record(key) is None


@given(st.text())
@example("a" * 129)
@example("a\n")
@example("..")
@example("é")
def test_a_name_is_safe_in_a_key_or_no_name(text: str) -> None:
    if is_name(text):
        assert check_key(text) == text
        assert len(text) <= 128
        assert "/" not in text
