"""Field by field, everything that is wrong with a section. Runs only when converting it as a whole has failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from runstead.kernel.secret import Secret
from runstead.platform.config.fieldtypes import (
    allowed,
    choices,
    convert,
    found,
    is_secret,
    item_type,
    struct_type,
    value_type,
)
from runstead.platform.config.keypath import KeyPath
from runstead.platform.config.problems import suggest


class Finding(NamedTuple):
    """A field and what is wrong with it; ``at`` is what was written, which for a missing field is the table around it."""

    path: KeyPath
    message: str
    at: KeyPath


def diagnose(annotation: Any, value: Any, path: KeyPath = (), *, partial: bool = False) -> Iterator[Finding]:
    """All that keeps ``value`` from being of the type.

    :param partial: required fields may be missing (an overlay changes some fields only).
    """
    struct = struct_type(annotation)
    inner = item_type(annotation)
    values = value_type(annotation)
    if struct is not None and isinstance(value, dict):
        findings = list(_diagnose_table(struct, value, path, partial=partial))
        if not findings and not partial:
            findings = list(_objections(struct, value, path))
        yield from findings
    elif inner is not None and isinstance(value, list):
        yield from _diagnose_items(annotation, inner, value, path, partial=partial)
    elif values is not None and isinstance(value, dict):
        yield from _diagnose_items(annotation, values, value, path, partial=partial)
    elif (fault := _fault(annotation, value)) is not None:
        yield Finding(path, fault, path)


def _diagnose_table(
    struct: type[Struct], table: Mapping[Any, Any], path: KeyPath, *, partial: bool
) -> Iterator[Finding]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    offered = [name for name, field in fields.items() if not is_secret(field.type)]
    for name, value in table.items():
        at = (*path, name)
        if name in fields:
            yield from diagnose(fields[name].type, value, at, partial=partial)
        else:
            hint = suggest(str(name), offered) or f"; allowed: {', '.join(offered)}"
            yield Finding(at, f"unknown field{hint}", at)
    for name, field in fields.items():
        if field.required and name not in table and not partial:
            yield Finding((*path, name), f"missing; allowed: {allowed(field.type)}", path)


def _objections(struct: type[Struct], table: Mapping[Any, Any], path: KeyPath) -> Iterator[Finding]:
    """What the Struct itself (its ``__post_init__``) has against a table whose fields are sound."""
    try:
        convert(table, struct)
    except msgspec.ValidationError as error:
        yield Finding(path, str(error).partition(" - at `$")[0], path)


def _diagnose_items(
    annotation: Any, inner: Any, value: Any, path: KeyPath, *, partial: bool
) -> Iterator[Finding]:
    """Lists and free tables: first what is inside; only when that is sound the whole (its length, its keys)."""
    sound = True
    for step, item in enumerate(value) if isinstance(value, list) else value.items():
        for finding in diagnose(inner, item, (*path, step), partial=partial):
            sound = False
            yield finding
    if sound and not partial and (fault := _fault(annotation, value)) is not None:
        yield Finding(path, fault, path)


def _fault(annotation: Any, value: Any) -> str | None:
    if is_secret(annotation) and not isinstance(value, Secret):
        return "a secret does not belong in a file"
    try:
        convert(value, annotation)
    except msgspec.ValidationError:
        hint = suggest(value, choices(annotation)) if isinstance(value, str) else ""
        return f"found {found(value)}, allowed: {allowed(annotation)}{hint}"
    return None
