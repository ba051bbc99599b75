from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.endpoints.request import (
    QUERY_FIELDS_MAX,
    CallRequest,
    merge_params,
    parse_body,
    parse_query,
)
from runstead.kernel.errors import BadRequestError

texts = st.text(st.characters(codec="utf-8"), max_size=10)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(entry_ids=st.lists(texts, max_size=5), params=st.dictionaries(texts, json_values, max_size=5))
def test_a_well_formed_body_is_read_as_it_is(entry_ids: list[str], params: dict[str, Any]) -> None:
    body = json.dumps({"entry_ids": entry_ids, "params": params}).encode()
    assert parse_body(body, "application/json") == CallRequest(entry_ids=entry_ids, params=params)


@given(body=st.binary(min_size=1, max_size=60))
def test_any_bytes_are_read_or_refused_as_a_bad_request(body: bytes) -> None:
    details = {"field": "none"}
    try:
        parse_body(body, "application/json")
    except BadRequestError as refusal:
        details = refusal.details
    assert details["field"]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"params": {}}', b'{"entry_ids": []}'])
def test_both_fields_are_optional(body: bytes) -> None:
    assert parse_body(body, "application/json; charset=utf-8") == CallRequest()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "body"),
        (b"{", "body"),
        (b"nonsense", "body"),
        (b'{"params": {"a": "\xff"}}', "body"),
        (b'{"params": ' + b"[" * 100_000, "params"),
        (b'{"params": {"a": ' + b"[" * 100_000, "body"),
        (b'{"parms": {}}', "parms"),
        (b'{"params": []}', "params"),
        (b'{"params": null}', "params"),
        (b'{"entry_ids": "a"}', "entry_ids"),
        (b'{"entry_ids": ["a", 7]}', "entry_ids[1]"),
        (b'{"request_id": "forged"}', "request_id"),
    ],
)
def test_a_refusal_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(BadRequestError) as refusal:
        parse_body(body, "application/json")
    assert refusal.value.details == {"field": field}
    assert refusal.value.message.startswith(f"{field}: ")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "json"])
def test_a_body_without_the_json_content_type_is_refused_since_any_page_could_send_it(
    content_type: str,
) -> None:
    with pytest.raises(BadRequestError) as refusal:
        parse_body(b"{}", content_type)
    assert refusal.value.details == {"field": "Content-Type"}


@given(pairs=st.lists(st.tuples(st.sampled_from(["a", "b", "ü"]), texts), max_size=8))
def test_a_repeated_query_key_becomes_a_list_in_order(pairs: list[tuple[str, str]]) -> None:
    expected: dict[str, list[str]] = {}
    for key, value in pairs:
        expected.setdefault(key, []).append(value)
    parsed = parse_query(urlencode(pairs).encode())
    assert parsed == {key: values[0] if len(values) == 1 else values for key, values in expected.items()}


@given(query=st.binary(max_size=40))
def test_any_query_is_read_or_refused_as_a_bad_request(query: bytes) -> None:
    details = {"field": "query"}
    try:
        parse_query(query)
    except BadRequestError as refusal:
        details = refusal.details
    assert details == {"field": "query"}


def test_a_query_of_too_many_fields_is_refused() -> None:
    with pytest.raises(BadRequestError, match="fields"):
        parse_query(b"&".join([b"a=1"] * (QUERY_FIELDS_MAX + 1)))


@given(
    query=st.dictionaries(st.sampled_from("abcd"), texts),
    path=st.dictionaries(st.sampled_from("abcd"), texts),
    body=st.dictionaries(st.sampled_from("abcd"), json_values),
)
def test_the_body_wins_over_the_path_and_the_path_over_the_query(
    query: dict[str, Any], path: dict[str, str], body: dict[str, Any]
) -> None:
    merged = merge_params(query, path, body)
    assert merged.keys() == query.keys() | path.keys() | body.keys()
    for key, value in merged.items():
        assert value == next(source[key] for source in (body, path, query) if key in source)
