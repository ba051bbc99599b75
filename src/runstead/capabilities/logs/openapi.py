"""The hot routes as OpenAPI 3.1."""

from __future__ import annotations

import functools
from typing import Any, Final

from runstead.capabilities.logs.model import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    CONTEXT_BYTES_MAX,
    CURSOR_PATTERN,
    ENV_CHARS_MAX,
    ENV_DEFAULT,
    LEVELS,
    MESSAGE_CHARS_MAX,
    REQUEST_ID_CHARS_MAX,
    SLUG_PATTERN,
    SOURCE_CHARS_MAX,
    TAGS_CHARS_MAX,
    USER_ID_CHARS_MAX,
)
from runstead.capabilities.logs.search import QUERY_CHARS_MAX
from runstead.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX

_JSON: Final = "application/json"
_NDJSON: Final = "application/x-ndjson"

# As exact as a pattern can be; 29 February of leap years is taken too.
_MONTH_AND_DAY: Final = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_MOMENT_PATTERN: Final = f"^([2-8][0-9]{{3}}-{_MONTH_AND_DAY}T{_TIME}|[0-9]{{1,15}})$"

_HASH: Final = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
_LEVEL: Final = {"type": "string", "enum": list(LEVELS)}
_MOMENT: Final = {
    "type": "string",
    "pattern": _MOMENT_PATTERN,
    "description": "RFC 3339 with an offset, or milliseconds since 1970.",
    "examples": ["2026-01-31T12:00:00Z"],
}
_SENT_TIME: Final = {
    "type": ["string", "number", "null"],
    "description": "RFC 3339 with an offset, or milliseconds since 1970; at most 24 hours in the future. Default: now.",
}
_OBJECT: Final = {"type": ["object", "null"], "description": f"At most {CONTEXT_BYTES_MAX} bytes of JSON."}


def _text(chars_max: int, description: str = "", *, nullable: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": chars_max}
    if nullable:
        schema["type"] = ["string", "null"]
    return {**schema, "description": description} if description else schema


_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "title": "LogEvent",
    "required": ["level", "message"],
    "additionalProperties": True,
    "description": "Fields that are not listed are kept in the context.",
    "properties": {
        "level": _LEVEL,
        "message": {
            "type": "string",
            "minLength": 1,
            "description": f"What is beyond {MESSAGE_CHARS_MAX} characters is kept in the context as message_rest.",
        },
        "source": _text(SOURCE_CHARS_MAX, "Default: the project's slug.", nullable=True),
        "env": _text(ENV_CHARS_MAX, f"Default: {ENV_DEFAULT}.", nullable=True),
        "ts": _SENT_TIME,
        "timestamp": {**_SENT_TIME, "description": "Another name for ts."},
        "context": _OBJECT,
        "ctx": {**_OBJECT, "description": "Another name for context."},
        "stack": {"type": ["string", "null"], "description": "Kept in the context."},
        "user_id": {"type": ["string", "integer", "null"], "maxLength": USER_ID_CHARS_MAX},
        "request_id": {"type": ["string", "null"], "maxLength": REQUEST_ID_CHARS_MAX},
        "tags": {
            "type": ["string", "array", "null"],
            "items": {"type": "string"},
            "description": f"With commas, or a list; {TAGS_CHARS_MAX} characters in all.",
        },
    },
}

_NULLABLE_TEXT: Final = {"type": ["string", "null"]}
_STORED: Final[dict[str, Any]] = {
    "type": "object",
    "title": "StoredLogEvent",
    "required": [
        "id",
        "project",
        "ts",
        "level",
        "message",
        "source",
        "env",
        "context",
        "fingerprint",
        "group",
    ],
    "properties": {
        "id": {"type": "string", "description": "UUIDv7."},
        "project": {"type": "string"},
        "ts": {"type": "string", "format": "date-time"},
        "level": _LEVEL,
        "message": {"type": "string"},
        "source": {"type": "string"},
        "env": {"type": "string"},
        "context": {"type": "object"},
        "fingerprint": {**_HASH, "description": "SHA-1 of message, source and stack."},
        "group": {
            **_HASH,
            "description": "The same for messages that differ in numbers, ids and the like only.",
        },
        "request_id": _NULLABLE_TEXT,
        "user_id": _NULLABLE_TEXT,
        "tags": _NULLABLE_TEXT,
        "created_at": {"type": "string", "format": "date-time"},
    },
}
_PROBLEMS: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["index", "field", "message"],
        "properties": {
            "index": {"type": "integer"},
            "field": {"type": "string"},
            "message": {"type": "string"},
        },
    },
}
_RECEIPT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["received", "processed", "requestId"],
    "properties": {
        "received": {"type": "integer"},
        "processed": {"type": "integer"},
        "requestId": {"type": "string"},
        "errors": {**_PROBLEMS, "description": "With partial=true: what was left out."},
    },
}
_PAGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["logs", "limit", "next_cursor"],
    "properties": {
        "logs": {"type": "array", "items": _STORED},
        "limit": {"type": "integer"},
        "next_cursor": _NULLABLE_TEXT,
    },
}
_HINTS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["sampling", "batch", "refresh_seconds"],
    "properties": {
        "sampling": {
            "type": "object",
            "description": "Share of the events of each level that should be sent.",
            "properties": {level: {"type": "number", "minimum": 0, "maximum": 1} for level in LEVELS},
        },
        "batch": {
            "type": "object",
            "properties": {
                "events_max": {"const": BATCH_EVENTS_MAX},
                "bytes_max": {"const": BATCH_BYTES_MAX},
                "flush_seconds": {"type": "integer"},
            },
        },
        "refresh_seconds": {"type": "integer"},
    },
}

_SIGNED: Final = (
    "Signed by the project: `X-Project-Key`, and `X-Signature`, the hex HMAC-SHA256 of the raw body with the project's secret. "
    "With `X-Timestamp` (seconds since 1970, at most five minutes old) what is signed is `timestamp.body`."
)


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


_SIGNATURE_HEADERS: Final = [
    _header("X-Project-Key", "Names the project."),
    _header("X-Signature", "Hex HMAC-SHA256; sha256= may stand before it."),
    _header("X-Timestamp", "Seconds since 1970; it is then signed too."),
]


def _query(name: str, schema: dict[str, Any], description: str = "", **more: Any) -> dict[str, Any]:
    parameter = {"name": name, "in": "query", "required": False, "schema": schema, **more}
    return {**parameter, "description": description} if description else parameter


_FILTERS: Final = [
    _query("project", {"type": "string", "pattern": SLUG_PATTERN}, "Default: all, or the key's own."),
    _query("level", {"type": "array", "items": _LEVEL, "minItems": 1, "uniqueItems": True}, "Any of these."),
    _query("min_level", _LEVEL, "This or worse."),
    _query("source", _text(SOURCE_CHARS_MAX)),
    _query("env", _text(ENV_CHARS_MAX)),
    _query("fingerprint", _HASH),
    _query("group", _HASH),
    _query("request_id", _text(REQUEST_ID_CHARS_MAX)),
    _query("user_id", _text(USER_ID_CHARS_MAX)),
    _query(
        "tags",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,31}(,[A-Za-z0-9_-]{1,31}){0,3}$"},
        "All of these, with commas between them.",
    ),
    _query("since", _MOMENT),
    _query("until", _MOMENT, "Not included."),
    _query(
        "q",
        {"type": "string", "maxLength": QUERY_CHARS_MAX},
        "Words, or their beginnings, in message and context; all of them. In double quotes: one after the other.",
    ),
    _query("order", {"type": "string", "enum": ["asc", "desc"], "default": "desc"}, "By ts."),
    _query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": PAGE_ROWS_DEFAULT},
    ),
    _query("cursor", {"type": "string", "pattern": CURSOR_PATTERN}, "The next_cursor of the page before."),
]

_LIMIT_HEADERS: Final = {
    name: {"schema": {"type": "string"}}
    for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
}


def _good(description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": schema}}, **more}


def _bad(description: str, **more: Any) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": description, "content": {_JSON: {"schema": schema}}, **more}


def _limited() -> dict[str, Any]:
    headers = {"Retry-After": {"schema": {"type": "string"}}, **_LIMIT_HEADERS}
    return _bad(
        "Too much in a minute. The details name the limit, its value, the usage, the reset and where to change it.",
        headers=headers,
    )


@functools.cache
def paths() -> dict[str, Any]:
    """The paths object."""
    return {
        "/api/log": {"post": _take(), "get": _search()},
        "/config": {
            "get": {
                "operationId": "logs_config",
                "summary": "Hints for senders of logs",
                "tags": ["logs"],
                "parameters": [_header("If-None-Match", "The ETag of what is known.")],
                "responses": {
                    "200": _good("The hints. They may be kept for five minutes.", _HINTS),
                    "304": {"description": "They are what is known."},
                },
            }
        },
    }


def components() -> dict[str, Any]:
    """What the paths refer to: nothing of their own."""
    return {}


def _take() -> dict[str, Any]:
    events = {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": BATCH_EVENTS_MAX}
    wrapped = {"type": "object", "required": ["events"], "properties": {"events": events}}
    return {
        "operationId": "logs_ingest",
        "summary": "Store a batch of log events",
        "description": f"{_SIGNED} The answer is sent when the batch is on the disk. `Content-Encoding` may be gzip or zstd.",
        "tags": ["logs"],
        "security": [{}],
        "parameters": [
            *_SIGNATURE_HEADERS,
            _header("Idempotency-Key", "A repeated batch gets the first answer, for a day."),
            _query(
                "partial", {"type": "boolean", "default": False}, "Store what is good when something is bad."
            ),
        ],
        "requestBody": {
            "required": True,
            "description": f"At most {BATCH_EVENTS_MAX} events and {BATCH_BYTES_MAX} bytes, also after decompression.",
            "content": {
                _JSON: {"schema": {"anyOf": [wrapped, events]}},
                _NDJSON: {"schema": {"type": "string", "description": "One event on each line."}},
            },
        },
        "responses": {
            "200": _good("It is stored.", _RECEIPT, headers=_LIMIT_HEADERS),
            "400": _bad("It is no batch, or holds bad events: details.errors has their index and field."),
            "401": _bad("Key or signature are missing or wrong."),
            "409": _bad("The Idempotency-Key was used for another batch."),
            "413": _bad("The batch is too large."),
            "415": _bad("The media type or the encoding is not known here."),
            "429": _limited(),
        },
    }


def _search() -> dict[str, Any]:
    return {
        "operationId": "logs_search",
        "summary": "Search log events",
        "description": f"By an administrator or an operator. Or: {_SIGNED} The body is empty then. "
        f"`Accept: {_NDJSON}` gives every event that matches, one on each line.",
        "tags": ["logs"],
        "security": [{"bearer": []}, {"adminToken": []}, {"masterPassword": []}, {}],
        "parameters": [*_SIGNATURE_HEADERS, *_FILTERS],
        "responses": {
            "200": {
                "description": "A page of events.",
                "content": {_JSON: {"schema": _PAGE}, _NDJSON: {"schema": {"type": "string"}}},
            },
            "400": _bad("Parameters do not fit: details.errors names them."),
            "401": _bad("No credential, or a wrong one."),
            "403": _bad("Another project's events."),
            "404": _bad("There is no such project."),
            "429": _limited(),
        },
    }
