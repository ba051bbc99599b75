"""The JSON Schema (2020-12) of the configuration, for editors: taplo and VS Code complete and check with it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta, Struct

from runstead.platform.config.fieldtypes import (
    is_secret,
    item_type,
    options,
    split_annotated,
    struct_type,
    value_type,
)
from runstead.platform.config.sections import SectionSpec
from runstead.platform.config.settings import PLATFORM_SECTIONS, PROFILES

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_NUMBER_RULES: Final = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_LENGTH_RULES: Final = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


def json_schema(sections: Mapping[str, SectionSpec]) -> dict[str, Any]:
    """Describe a whole configuration file.

    :param sections: the capabilities' sections by name; the platform's own are added.
    """
    specs = {**PLATFORM_SECTIONS, **sections}
    overlay = {
        "type": "object",
        "description": "Changes that hold for this profile only.",
        "properties": {name: _section(spec, partial=True) for name, spec in specs.items()},
        "additionalProperties": False,
    }
    return {
        "$schema": _DIALECT,
        "title": "Runstead configuration",
        "type": "object",
        "properties": {
            "$schema": {"type": "string", "description": "Where this schema is, for editors."},
            **{name: _section(spec, partial=False) for name, spec in specs.items()},
            "profile": {
                "type": "object",
                "description": "Tables that are laid over the others when their profile is chosen.",
                "properties": {name: {"$ref": "#/$defs/overlay"} for name in PROFILES},
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
        "$defs": {"overlay": overlay},
    }


def _section(spec: SectionSpec, *, partial: bool) -> dict[str, Any]:
    table = _table(spec.struct, partial=partial)
    return {"type": "array", "items": table} if spec.is_list else table


def _table(struct: type[Struct], *, partial: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if struct.__doc__:
        schema["description"] = struct.__doc__.split("\n", 1)[0]
    fields = [field for field in msgspec.structs.fields(struct) if not is_secret(field.type)]
    schema["properties"] = {field.encode_name: _field(field, partial=partial) for field in fields}
    required = [field.encode_name for field in fields if field.required]
    if required and not partial:
        schema["required"] = required
    return schema | {"additionalProperties": False}


def _field(field: msgspec.structs.FieldInfo, *, partial: bool) -> dict[str, Any]:
    schema = _any(field.type, partial=partial)
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    if default is not NODEFAULT and default is not None:
        schema["default"] = msgspec.to_builtins(default, enc_hook=str, str_keys=True)
    return schema


def _any(annotation: Any, *, partial: bool) -> dict[str, Any]:
    members = options(annotation)
    if len(members) == 1:
        # None is what a missing field is; a file has no need to write it.
        schema = _one(members[0], partial=partial)
    else:
        schema = {"anyOf": [_one(member, partial=partial) for member in members]}
    _, metadata = split_annotated(annotation)
    return schema | _described(metadata)


def _one(annotation: Any, *, partial: bool) -> dict[str, Any]:
    bare, metadata = split_annotated(annotation)
    schema = _bare(bare, annotation, partial=partial)
    return schema | _rules(metadata, schema.get("type")) | _described(metadata)


def _bare(bare: Any, annotation: Any, *, partial: bool) -> dict[str, Any]:
    if get_origin(bare) is Literal:
        return {"enum": list(get_args(bare))}
    if isinstance(bare, type) and issubclass(bare, enum.Enum):
        return {"enum": [member.value for member in bare]}
    if bare is Path:
        return {"type": "string", "minLength": 1}
    simple = {bool: "boolean", int: "integer", float: "number", str: "string"}
    if isinstance(bare, type) and bare in simple:
        return {"type": simple[bare]}
    if (struct := struct_type(annotation)) is not None:
        return _table(struct, partial=partial)
    if (inner := item_type(annotation)) is not None:
        return {"type": "array", "items": _any(inner, partial=partial)}
    if (inner := value_type(annotation)) is not None:
        return {"type": "object", "additionalProperties": _any(inner, partial=partial)}
    return {}


def _rules(metadata: tuple[Meta, ...], kind: Any) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    for meta in metadata:
        rules |= {
            word: value for name, word in _NUMBER_RULES.items() if (value := getattr(meta, name)) is not None
        }
        if meta.pattern is not None:
            rules["pattern"] = meta.pattern
        least, most = _LENGTH_RULES.get(kind, ("", ""))
        if least and meta.min_length is not None:
            rules[least] = meta.min_length
        if most and meta.max_length is not None:
            rules[most] = meta.max_length
    return rules


def _described(metadata: tuple[Meta, ...]) -> dict[str, Any]:
    texts = [meta.description for meta in metadata if meta.description]
    return {"description": texts[-1]} if texts else {}
