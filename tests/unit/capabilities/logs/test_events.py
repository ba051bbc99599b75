from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.logs.decoding import read_events
from runstead.capabilities.logs.events import prepare
from runstead.capabilities.logs.model import (
    CURSOR_PATTERN,
    Cursor,
    Level,
    is_slug,
    level_of,
    microseconds,
    moment_of,
)
from runstead.capabilities.logs.search import QUERY_CHARS_MAX, TERMS_MAX, terms

NOW = 1_777_636_800_000_000


def one(**fields: Any) -> Any:
    prepared = prepare([{"level": "info", "message": "m", **fields}], source_default="shop", now=NOW)
    assert not prepared.problems, prepared.problems
    return prepared.events[0]


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (0, 0),
        (1_777_000_000_123, 1_777_000_000_123_000),
        (1_777_000_000_123.5, 1_777_000_000_123_500),
        ("2026-05-01T12:00:00Z", NOW),
        ("2026-05-01T12:00:00.123456789Z", NOW + 123_456),
        ("2026-05-01T14:00:00+02:00", NOW),
        ("1970-01-01T00:00:00Z", 0),
        (1_777_723_200_000, NOW + 86_400_000_000),
        (None, NOW),
    ],
)
def test_times_are_kept_to_the_microsecond(ts: Any, expected: int) -> None:
    assert one(ts=ts).ts == expected
    assert one(timestamp=ts).ts == expected


@pytest.mark.parametrize(
    "ts",
    [-1, 1_777_723_200_001, 1e300, "", "now", "2026-05-01",
     "2026-05-01T12:00:00", "0001-01-01T00:00:00+14:00", True, [], "1777000000000"],
)  # fmt: skip
def test_what_is_no_time_is_a_problem_of_its_field(ts: Any) -> None:
    for name in ("ts", "timestamp"):
        event = {"level": "info", "message": "m", name: ts}
        (problem,) = prepare([event], source_default="s", now=NOW).problems
        assert (problem.index, problem.field) == (0, name)


def test_ts_wins_over_timestamp() -> None:
    assert one(ts=1000, timestamp=2000).ts == 1_000_000


@pytest.mark.parametrize(
    ("tags", "stored"),
    [
        (None, ""),
        ("", ""),
        (",", ""),
        ("a", ",a,"),
        (" a , b,a ", ",a,b,"),
        (["a", "b,c"], ",a,b,c,"),
        ([], ""),
        ("x" * 128, f",{'x' * 128},"),
    ],
)
def test_tags_are_kept_once_and_between_commas(tags: Any, stored: str) -> None:
    assert one(tags=tags).tags == stored


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, min_size=1, max_size=5))
def test_anything_is_either_ready_or_a_problem(events: list[Any]) -> None:
    prepared = prepare(events, source_default="s", now=NOW)
    bad = {problem.index for problem in prepared.problems}
    assert len(prepared.events) + len(bad) == len(events)


@given(
    st.dictionaries(st.text(max_size=12), JSON, max_size=5),
    st.dictionaries(st.sampled_from(["stack", "_stack", "message_rest", "hostname", "a"]), JSON, max_size=4),
    st.text(max_size=20),
)
def test_nothing_that_was_sent_is_lost(context: dict[str, Any], unknown: dict[str, Any], stack: str) -> None:
    unknown.pop("stack", None)
    message = "m" * 1030
    event = one(message=message, context=context, stack=stack, **unknown)
    kept = json.loads(event.context)
    values = [json.dumps(value) for value in kept.values()]
    for value in (*context.values(), *unknown.values(), "mmmmmm"):
        assert json.dumps(value) in values
    if stack:
        assert stack.replace("\0", "\N{REPLACEMENT CHARACTER}") in kept.values()
    for name, value in context.items():
        assert kept[name] == value


def test_a_context_that_is_just_small_enough_is_taken() -> None:
    empty = len(msgspec.json.encode({"a": ""}))
    assert one(context={"a": "x" * (32 * 1024 - empty)})
    event = {"level": "info", "message": "m", "context": {"a": "x" * (32 * 1024 - empty + 1)}}
    (problem,) = prepare([event], source_default="s", now=NOW).problems
    assert problem.field == "context"


def test_the_bytes_of_any_json_are_read_or_refused() -> None:
    events = read_events(
        b'{"events": [1, 123456789012345678901234567890]}', "application/json; charset=utf-8"
    )
    assert events == [1, 123456789012345678901234567890]
    assert read_events(b"[1]", "") == [1]


@given(st.integers(-(2**62), 2**62), st.integers(0, 2**63 - 1))
def test_a_cursor_comes_back_as_it_was(ts: int, seq: int) -> None:
    cursor = Cursor(ts, seq)
    assert Cursor.parse(str(cursor)) == cursor


@given(st.from_regex(CURSOR_PATTERN.removesuffix("$") + r"\Z"))
def test_every_cursor_that_fits_the_pattern_fits_the_database(text: str) -> None:
    cursor = Cursor.parse(text)
    assert -(2**63) <= cursor.ts < 2**63
    assert 0 <= cursor.seq < 2**63


@pytest.mark.parametrize(
    "text", ["", "abc", "0" * 33, "0" * 16 + "-" + "0" * 16 + "\n", "G" * 16 + "-" + "0" * 16]
)
def test_anything_else_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        Cursor.parse(text)


@given(st.integers(-(10**15), 10**17))
def test_microseconds_and_moments_are_inverse(micros: int) -> None:
    assert microseconds(moment_of(micros)) == micros


@pytest.mark.parametrize(
    ("name", "level"),
    [("info", Level.INFO), ("WARNING", Level.WARN), ("critical", Level.FATAL), ("trace", Level.DEBUG), ("odd", Level.INFO)],
)  # fmt: skip
def test_levels_of_other_loggers_have_a_nearest(name: str, level: Level) -> None:
    assert level_of(name) is level


@pytest.mark.parametrize(
    ("slug", "fits"),
    [
        ("a", True),
        ("a-1", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("-a", False),
        ("a-", False),
        ("A", False),
        ("a\n", False),
        ("", False),
    ],
)
def test_slugs(slug: str, fits: bool) -> None:
    assert is_slug(slug) is fits


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("Pay  ORD_17", [["pay"], ["ord", "17"]]),
        ('"not found" user', [["not", "found"], ["user"]]),
        ('"open', [["open"]]),
        ('a"b c"d', [["a"], ["b", "c"], ["d"]]),
        ("* % ''", []),
        ("Größe², ñ", [["größe²"], ["ñ"]]),
    ],
)
def test_a_search_is_terms_of_words(q: str, expected: list[list[str]]) -> None:
    assert terms(q) == expected


@given(st.text(max_size=QUERY_CHARS_MAX))
def test_no_word_of_a_search_has_a_sign_in_it(q: str) -> None:
    found = terms(q)
    assert len(found) <= TERMS_MAX
    for word in (word for term in found for word in term):
        assert word
        assert not set(word) & set("\"'*:()&|!<>^-+\\ \0")
