"""The schema for editors agrees with the loader."""

import json
import tomllib
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.platform.config.samples import SECTIONS

from runstead.platform.config import PLATFORM_SECTIONS, json_schema
from runstead.platform.config.fieldtypes import convert

SCHEMA = json_schema(SECTIONS)


@pytest.fixture(scope="module")
def validator() -> jsonschema_rs.Draft202012Validator:
    jsonschema_rs.meta.validate(SCHEMA)
    return jsonschema_rs.Draft202012Validator(SCHEMA)


@pytest.mark.req("CFG-003")
def test_every_field_is_described_but_no_secret() -> None:
    for name in PLATFORM_SECTIONS:
        for field in SCHEMA["properties"][name]["properties"].values():
            assert field["description"]
            assert "default" in field or "anyOf" in field or field["type"] == "string"
    assert "ingest_token" not in SCHEMA["properties"]["records"]["properties"]
    assert "ingest_token" not in json.dumps(SCHEMA)


def test_types_and_limits_are_said_as_json_schema_says_them() -> None:
    endpoint = SCHEMA["properties"]["endpoints"]["items"]
    assert endpoint["required"] == ["name", "path", "script_path"]
    assert endpoint["additionalProperties"] is False
    assert endpoint["properties"]["timeout_ms"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 3_600_000,
        "default": 30_000,
    }
    assert endpoint["properties"]["name"] == {
        "type": "string",
        "pattern": "^[a-z][a-z0-9-]*$",
        "description": "Lower-case letters, digits and -.",
    }
    assert endpoint["properties"]["method"] == {"enum": ["GET", "POST"], "default": "POST"}
    records = SCHEMA["properties"]["records"]["properties"]
    assert records["ratio"] == {
        "type": "number",
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 1,
        "default": 0.5,
    }
    assert records["labels"] == {"type": "object", "additionalProperties": {"type": "string"}, "default": {}}
    assert records["replication"]["properties"]["region"] == {"type": "string"}


def test_an_overlay_may_leave_out_what_the_base_requires(
    validator: jsonschema_rs.Draft202012Validator,
) -> None:
    assert validator.is_valid({"profile": {"prod": {"endpoints": [{"name": "a", "enabled": False}]}}})
    assert not validator.is_valid({"endpoints": [{"name": "a", "enabled": False}]})
    assert not validator.is_valid({"profile": {"production": {}}})
    assert not validator.is_valid({"profile": {"prod": {"server": {"prot": 1}}}})


def test_the_shipped_configuration_is_valid_as_far_as_the_platform_goes(
    validator: jsonschema_rs.Draft202012Validator,
) -> None:
    assert validator.is_valid(
        tomllib.loads("[server]\nport = 1\n[storage]\ndata_dir = 'x'\n[execution]\nsandbox = 'auto'\n")
    )


values = st.one_of(
    st.integers(-2, 70_000),
    # For JSON Schema 3.0 is an integer; in a configuration it is most likely a mistake.
    st.floats(allow_nan=False, allow_infinity=False, width=16).filter(lambda number: not number.is_integer()),
    st.booleans(),
    st.sampled_from(["", "a", "GET", "granian", "auto", "/x", "HOME", "lower", "x" * 300]),
    st.lists(st.sampled_from(["a", "HOME", 1, ""]), max_size=2),
    st.dictionaries(st.sampled_from(["a", "attempts"]), st.sampled_from([1, "x", 20]), max_size=2),
)


@pytest.mark.parametrize("section", [*PLATFORM_SECTIONS, *SECTIONS])
@given(data=st.data())
def test_schema_and_loader_agree_on_what_is_valid(
    section: str, validator: jsonschema_rs.Draft202012Validator, data: st.DataObject
) -> None:
    spec = {**PLATFORM_SECTIONS, **SECTIONS}[section]
    names = st.sampled_from([name for name in spec.struct.__struct_fields__ if name != "ingest_token"])
    table: dict[str, Any] = data.draw(st.dictionaries(names, values, max_size=3))
    if spec.is_list:
        table = {"name": "a", "path": "/a", "script_path": "a.py", **table}
    try:
        convert([table] if spec.is_list else table, spec.type)
        loads = True
    except msgspec.ValidationError:
        loads = False
    assert validator.is_valid({section: [table] if spec.is_list else table}) is loads
