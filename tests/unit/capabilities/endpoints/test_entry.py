from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.endpoints.entry import component_schemas, json_schema, parse_result
from runstead.kernel.ids import new_ulid

text = st.text(st.characters(codec="utf-8"), max_size=20)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=zones).map(datetime.isoformat)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


metas = st.builds(
    lambda known, further: {**further, **known},
    optional(
        confidence=st.floats(0, 1),
        locale=text,
        redacted=st.booleans(),
        visibility=st.sampled_from(["public", "private", "friends"]),
        sensitivity=st.sampled_from(["low", "medium", "high"]),
        relations=optional(parents=st.lists(text), refs=st.lists(text)),
    ),
    st.dictionaries(text.map(lambda key: f"x-{key}"), text | st.integers(-5, 5), max_size=2),
)
payloads: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "text": st.fixed_dictionaries({"text": text}),
    "markdown": st.fixed_dictionaries({"markdown": text}),
    "metrics": st.dictionaries(text, numbers, max_size=4),
    "media_ref": st.fixed_dictionaries({"ref": text, "type": st.sampled_from(["image", "video", "audio"])}),
    "event": st.fixed_dictionaries(
        {"title": text, "start": moments}, optional={"end": moments, "location": text}
    ),
    "log": st.fixed_dictionaries(
        {"source": text, "message": text},
        optional={"level": st.sampled_from(["debug", "info", "warn", "error"])},
    ),
}


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(payloads)))
    rest = draw(
        optional(
            tags=st.lists(st.text(st.characters(codec="utf-8"), max_size=50), max_size=20),
            source=st.text(st.characters(codec="utf-8"), max_size=50),
            device_id=st.text(st.characters(codec="utf-8"), max_size=100),
            meta=metas,
        )
    )
    return {
        "id": new_ulid(),
        "type": kind,
        "created_at": draw(moments),
        "updated_at": draw(moments),
        "schema_version": draw(st.integers(1, 100)),
        "payload": draw(payloads[kind]),
        **rest,
    }


def sample(**changes: Any) -> dict[str, Any]:
    entry = {
        "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "type": "text",
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T13:00:00+01:00",
        "schema_version": 1,
        "payload": {"text": "hello"},
        **changes,
    }
    return {key: value for key, value in entry.items() if value is not ...}


@pytest.mark.req("EP-005")
@given(new_entries=st.lists(entries(), max_size=3), results=st.lists(text | numbers | st.none(), max_size=3))
def test_every_entry_of_the_contract_is_accepted_and_handed_back_unchanged(
    new_entries: list[dict[str, Any]], results: list[Any]
) -> None:
    answer = {"results": results, "new_entries": new_entries, "warnings": ["careful"]}
    assert parse_result(json.dumps(answer).encode()) == answer


@given(stdout=st.binary(max_size=60))
def test_any_output_is_read_or_refused_with_a_reason(stdout: bytes) -> None:
    refusal = ""
    try:
        parse_result(stdout)
    except ValueError as error:
        refusal = str(error) or "no reason"
    assert refusal != "no reason"


@pytest.mark.parametrize("stdout", [b"{}", b' {"results": []}\n', b'{"results": [null, 1, "a", {}, []]}'])
def test_all_parts_are_optional(stdout: bytes) -> None:
    assert parse_result(stdout) == json.loads(stdout)


@pytest.mark.parametrize(
    ("stdout", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"hello", "malformed"),
        (b'{"results": [1]} and more', "trailing"),
        (b"[]", "Expected `object`"),
        (b'{"result": []}', "unknown field `result`"),
        (b'{"run_id": "forged"}', "unknown field `run_id`"),
        (b'{"results": {}}', "$.results"),
        (b'{"warnings": [1]}', "$.warnings[0]"),
        (b'{"results": ["\xff\xfe"]}', "not UTF-8"),
        (b'{"results": ' + b"[" * 50_000, "nested"),
        (b'{"results": [NaN]}', "malformed"),
    ],
)
def test_what_is_not_an_answer_is_refused_with_where_and_why(stdout: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_result(stdout)


@pytest.mark.req("EP-005")
@pytest.mark.parametrize(
    ("entry", "where"),
    [
        (sample(id="not-a-ulid"), "id"),
        (sample(id="01ARZ3NDEKTSV4RRFFQ69G5FAV\n"), "id"),
        (sample(id="81ARZ3NDEKTSV4RRFFQ69G5FAV"), "id"),
        (sample(id=...), "id"),
        (sample(type="video"), "type"),
        (sample(type=...), "type"),
        (sample(created_at="2026-01-31T12:00:00"), "created_at"),
        (sample(created_at="2026-02-30T12:00:00Z"), "created_at"),
        (sample(created_at=1767225600), "created_at"),
        (sample(updated_at=...), "updated_at"),
        (sample(schema_version=0), "schema_version"),
        (sample(schema_version="1"), "schema_version"),
        (sample(payload={"markdown": "x"}), "payload"),
        (sample(payload={"text": "x", "more": 1}), "payload"),
        (sample(payload=...), "payload"),
        (sample(type="metrics", payload={"a": "1"}), "payload"),
        (sample(type="metrics", payload={"a": True}), "payload"),
        (sample(type="media_ref", payload={"ref": "x", "type": "text"}), "payload.type"),
        (sample(type="event", payload={"title": "x", "start": "tomorrow"}), "payload.start"),
        (sample(type="log", payload={"source": "x", "message": "y", "level": "loud"}), "payload.level"),
        (sample(tags=["a"] * 21), "tags"),
        (sample(tags=["a" * 51]), "tags[0]"),
        (sample(source="a" * 51), "source"),
        (sample(device_id="a" * 101), "device_id"),
        (sample(meta={"confidence": 1.1}), "meta.confidence"),
        (sample(meta={"visibility": "secret"}), "meta.visibility"),
        (sample(meta={"relations": {"children": []}}), "meta.relations"),
        (sample(further=1), "further"),
    ],
)
def test_an_entry_outside_of_the_contract_is_refused_at_its_field(entry: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=r"new_entries\[0\]") as refusal:
        parse_result(json.dumps({"new_entries": [entry]}).encode())
    assert where in str(refusal.value)


def test_further_keys_of_meta_survive() -> None:
    answer = {"new_entries": [sample(meta={"mood": "fine", "confidence": 1})]}
    assert parse_result(json.dumps(answer).encode()) == answer


def test_the_schema_is_self_contained_and_names_every_kind_of_entry() -> None:
    schema = msgspec.json.encode(json_schema()).decode()
    for kind in payloads:
        assert f'"{kind}"' in schema
    assert '"#/components' not in schema


def test_components_refer_to_one_another_by_the_given_template() -> None:
    components = component_schemas("#/x/{name}")
    references = {part.split('"')[0] for part in json.dumps(components).split('"#/x/')[1:]}
    assert references <= components.keys()
    assert "Entry" in components
