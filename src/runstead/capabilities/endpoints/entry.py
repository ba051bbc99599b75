"""What a program answers: the shape of its stdout and of the entries in it, published as JSON Schema."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

# `$` alone would let a trailing newline pass.
Ulid = Annotated[
    str, msgspec.Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}(?!\n)$", description="A ULID, in upper case.")
]
Moment = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339, with an offset.")]
Tag = Annotated[str, msgspec.Meta(max_length=50)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class TextPayload(_Strict, frozen=True, kw_only=True):
    text: str


class MarkdownPayload(_Strict, frozen=True, kw_only=True):
    markdown: str


class MediaRefPayload(_Strict, frozen=True, kw_only=True):
    ref: str
    type: Literal["image", "video", "audio"]


class EventPayload(_Strict, frozen=True, kw_only=True):
    title: str
    start: Moment
    end: Moment | msgspec.UnsetType = msgspec.UNSET
    location: str | msgspec.UnsetType = msgspec.UNSET


class LogPayload(_Strict, frozen=True, kw_only=True):
    source: str
    message: str
    level: Literal["debug", "info", "warn", "error"] | msgspec.UnsetType = msgspec.UNSET


class Relations(_Strict, frozen=True, kw_only=True):
    parents: list[str] | msgspec.UnsetType = msgspec.UNSET
    refs: list[str] | msgspec.UnsetType = msgspec.UNSET


class EntryMeta(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about an entry. Further keys are allowed."""

    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] | msgspec.UnsetType = msgspec.UNSET
    locale: str | msgspec.UnsetType = msgspec.UNSET
    redacted: bool | msgspec.UnsetType = msgspec.UNSET
    visibility: Literal["public", "private", "friends"] | msgspec.UnsetType = msgspec.UNSET
    sensitivity: Literal["low", "medium", "high"] | msgspec.UnsetType = msgspec.UNSET
    relations: Relations | msgspec.UnsetType = msgspec.UNSET


class _Entry(_Strict, frozen=True, tag_field="type", kw_only=True):
    id: Ulid
    created_at: Moment
    updated_at: Moment
    schema_version: Annotated[int, msgspec.Meta(ge=1)]
    tags: Annotated[list[Tag], msgspec.Meta(max_length=20)] | msgspec.UnsetType = msgspec.UNSET
    source: Annotated[str, msgspec.Meta(max_length=50)] | msgspec.UnsetType = msgspec.UNSET
    device_id: Annotated[str, msgspec.Meta(max_length=100)] | msgspec.UnsetType = msgspec.UNSET
    meta: EntryMeta | msgspec.UnsetType = msgspec.UNSET


class TextEntry(_Entry, frozen=True, tag="text", kw_only=True):
    payload: TextPayload


class MarkdownEntry(_Entry, frozen=True, tag="markdown", kw_only=True):
    payload: MarkdownPayload


class MetricsEntry(_Entry, frozen=True, tag="metrics", kw_only=True):
    payload: dict[str, int | float]


class MediaRefEntry(_Entry, frozen=True, tag="media_ref", kw_only=True):
    payload: MediaRefPayload


class EventEntry(_Entry, frozen=True, tag="event", kw_only=True):
    payload: EventPayload


class LogEntry(_Entry, frozen=True, tag="log", kw_only=True):
    payload: LogPayload


Entry = TextEntry | MarkdownEntry | MetricsEntry | MediaRefEntry | EventEntry | LogEntry


class ScriptResult(_Strict, frozen=True, kw_only=True):
    """What a program writes to stdout."""

    results: list[Any] | msgspec.UnsetType = msgspec.UNSET
    new_entries: list[Entry] | msgspec.UnsetType = msgspec.UNSET
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class Answer(ScriptResult, frozen=True, kw_only=True):
    """What a caller gets: the program's answer and the run that made it."""

    run_id: str


_decode_result = msgspec.json.Decoder(ScriptResult).decode


def parse_result(stdout: bytes) -> dict[str, Any]:
    """Check what a program printed and hand it back as it stands.

    It is read twice, since the checked form would lose the further keys of ``meta`` and the spelling of times.

    :raises ValueError: when it is not an answer; the text tells where and why.
    """
    if not stdout.strip():
        raise ValueError("stdout is empty, expected a JSON object")
    try:
        _decode_result(stdout)
        plain = msgspec.json.decode(stdout)
    except UnicodeDecodeError as error:
        raise ValueError(f"stdout is not UTF-8: {error.reason} at byte {error.start} of a string") from error
    except RecursionError as error:
        raise ValueError("stdout is nested too deeply") from error
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    assert isinstance(plain, dict)  # noqa: S101 - the first reading accepts objects only
    return plain


def component_schemas(ref_template: str = "#/components/schemas/{name}") -> dict[str, Any]:
    """JSON Schemas (draft 2020-12) by name, with references between them written by the template."""
    _, components = msgspec.json.schema_components([Answer, ScriptResult], ref_template=ref_template)
    components["Entry"] = {
        "oneOf": [{"$ref": ref_template.format(name=kind.__name__)} for kind in Entry.__args__],
        "discriminator": {"propertyName": "type"},
    }
    return components


def json_schema() -> dict[str, Any]:
    """One self-contained JSON Schema of what a program writes to stdout."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://runstead.dev/schemas/endpoint-result.json",
        **msgspec.json.schema(ScriptResult),
    }
