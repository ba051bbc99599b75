"""Canonical JSON as RFC 8785 has it."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from runstead.capabilities.records.canonical import (
    DEPTH_MAX,
    INTEGER_MAX,
    PROBLEMS_MAX,
    NotCanonicalError,
    canonical_json,
    ecmascript_number,
)

# No half surrogates: those are not Unicode text.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER_MAX, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_of_appendix_b(bits: str, text: str) -> None:
    number: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert ecmascript_number(number) == text
    assert canonical_json([number]) == f"[{text}]".encode()


def test_the_example_of_section_3_2_2() -> None:
    given_text = r"""{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"""
    expected = (
        r'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        r'"string":"€$\u000f\nA' + "'" + r'B\"\\\\\"/"}'
    )
    assert canonical_json(json.loads(given_text)).decode() == expected


@pytest.mark.parametrize("extra", [{}, {"float": 0.5}], ids=["fast", "exact"])
def test_keys_are_sorted_as_in_section_3_2_3(extra: dict[str, Any]) -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = json.loads(canonical_json({**dict.fromkeys(keys, 0), **extra}))
    assert [key for key in ordered if key not in extra] == [
        "\r",
        "1",
        "\u0080",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


@given(VALUES)
@example({"\ufb33": 1, "\U0001f600": 2})
@example([1e16, 1e-5, 1.5e300, -2.5e-7, 123456789012345680000.0])
@example("\x7f\u2028\x00\x1f")
def test_it_agrees_with_another_implementation(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_itself(number: float) -> None:
    assert float(ecmascript_number(number)) == number


@given(st.dictionaries(TEXT, VALUES), st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], random: Any) -> None:
    shuffled = list(value.items())
    random.shuffle(shuffled)
    assert canonical_json(dict(shuffled)) == canonical_json(value)


@pytest.mark.parametrize(
    ("value", "path", "word"),
    [
        (2**53, "x", "integer"),
        ([0, {"a": -(2**53)}], "x[1].a", "integer"),
        ({"a-b": [math.nan]}, "x.a-b[0]", "nan"),
        ({"a b": math.inf}, 'x["a b"]', "inf"),
        ({"": math.inf}, 'x[""]', "inf"),
        (["\ud800"], "x[0]", "surrogate"),
        ({"k": {"\udfff": 1}}, "x.k", "surrogate"),
        ({"k": {1: 1}}, "x.k", "key"),
        ({"k": (1,)}, "x.k", "tuple"),
        ({"k": b"bytes"}, "x.k", "bytes"),
        ([float("nan"), 1.5, {1}], "x[0]", "nan"),
    ],
)
def test_what_has_no_canonical_form_is_named_with_its_path(value: Any, path: str, word: str) -> None:
    with pytest.raises(NotCanonicalError) as caught:
        canonical_json(value, "x")
    assert caught.value.problems[0][0] == path
    assert word in caught.value.problems[0][1]


def _nested(levels: int) -> Any:
    value: Any = 1.5
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def test_nesting_ends_somewhere() -> None:
    assert canonical_json(_nested(DEPTH_MAX))
    for levels in (DEPTH_MAX + 1, 100_000):
        with pytest.raises(NotCanonicalError, match="levels of nesting"):
            canonical_json(_nested(levels))


def test_a_value_that_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(NotCanonicalError, match="levels"):
        canonical_json(circle)


def test_not_more_problems_are_named_than_help() -> None:
    with pytest.raises(NotCanonicalError) as caught:
        canonical_json([2**60] * 1000)
    assert len(caught.value.problems) == PROBLEMS_MAX


def test_a_path_does_not_echo_a_huge_key() -> None:
    with pytest.raises(NotCanonicalError) as caught:
        canonical_json({"k" * 100_000: {"l" * 100_000: math.nan}}, "artifact")
    assert all(len(path) <= 200 for path, _ in caught.value.problems)
