"""The routes of records as OpenAPI 3.1."""

from __future__ import annotations

from typing import Any, Final

from runstead.capabilities.records.canonical import DEPTH_MAX, INTEGER_MAX
from runstead.capabilities.records.keys import ENTRY_NAME_PATTERN
from runstead.capabilities.records.model import NAME_PATTERN, NAME_RULE, REQUIRED_FIELDS
from runstead.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX

_JSON: Final = "application/json"

# As exact as a pattern can be; 29 February of leap years is taken too.
_MONTH_AND_DAY: Final = (
    r"((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
)
_MOMENT_PATTERN: Final = (
    rf"^([2-8]\d|9[0-8])\d\d-{_MONTH_AND_DAY}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{{1,9}})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$"
).replace(r"\d", "[0-9]")

_NAME: Final = {"type": "string", "pattern": f"^{NAME_PATTERN}$", "description": NAME_RULE}
_MOMENT: Final = {
    "type": "string",
    "pattern": _MOMENT_PATTERN,
    "description": "RFC 3339 with an offset.",
    "examples": ["2026-01-31T12:00:00Z"],
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/Record{name}"}


def _optional(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


_OBJECT: Final = {"type": "object", "additionalProperties": _ref("Json")}

_CONTENT: Final[dict[str, Any]] = {
    "organization": _NAME,
    "project": _NAME,
    "service": _NAME,
    "run_id": _optional({**_NAME, "description": f"{NAME_RULE}. Default: a new UUIDv7."}),
    "commit_sha": _optional(_NAME),
    "generated_at": _optional(_MOMENT),
    "artifact": {**_OBJECT, "description": "The lineage export."},
    "diff": _optional({**_OBJECT, "description": "What changed in it."}),
    "summary": _optional({"type": "string", "description": "Text or Markdown."}),
    "metadata": _optional(_OBJECT),
}

_ENTRY: Final[dict[str, Any]] = {
    "run_id": {"type": "string"},
    "received_at": {"type": "string", "format": "date-time"},
    "sha256": {"type": "string", "description": "Of the content's canonical JSON (RFC 8785), in hex."},
    "location": {"type": "string", "description": "The key in the object store."},
    "commit_sha": {"type": "string"},
    "generated_at": {"type": "string", "format": "date-time"},
}

_ENVELOPE: Final[dict[str, Any]] = {
    **{name: {"type": schema["type"]} for name, schema in _CONTENT.items()},
    "run_id": {"type": "string"},
    "key": {"type": "string"},
    "received_at": {"type": "string", "format": "date-time"},
    "schema_version": {"type": "integer"},
    "sent_by": {"type": "string"},
    "sha256": _ENTRY["sha256"],
}

COMPONENTS: Final[dict[str, Any]] = {
    "schemas": {
        "RecordJson": {
            "description": f"Any JSON value, at most {DEPTH_MAX} levels deep. Integers beyond ±{INTEGER_MAX} are refused, "
            "since readers of JSON round them; send them as text.",
            "anyOf": [
                {"type": ["string", "boolean", "null", "number"]},
                {"type": "array", "items": _ref("Json")},
                _OBJECT,
            ],
        },
        "RecordDocument": {
            "type": "object",
            "additionalProperties": False,
            "required": list(REQUIRED_FIELDS),
            "properties": _CONTENT,
        },
        "RecordAccepted": {
            "type": "object",
            "required": ["accepted", "run_id", "location"],
            "properties": {
                "accepted": {"const": True},
                "run_id": {"type": "string"},
                "location": _ENTRY["location"],
                "duplicate": {"const": True},
            },
        },
        "RecordEnvelope": {
            "type": "object",
            "required": [
                *REQUIRED_FIELDS,
                "run_id",
                "key",
                "received_at",
                "schema_version",
                "sent_by",
                "sha256",
            ],
            "properties": _ENVELOPE,
        },
        "RecordPage": {
            "type": "object",
            "required": ["runs", "next_cursor"],
            "properties": {
                "runs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["run_id", "received_at", "sha256", "location"],
                        "properties": _ENTRY,
                    },
                },
                "next_cursor": {"type": ["string", "null"]},
            },
        },
        "RecordProgress": {
            "type": "object",
            "required": ["records", "damaged", "next_cursor"],
            "properties": {
                "records": {"type": "integer"},
                "damaged": {"type": "array", "items": {"type": "string"}},
                "next_cursor": {"type": ["string", "null"]},
            },
        },
    },
}

_ERRORS: Final = {
    400: "E_RECORD: not what this route takes; details name every problem.",
    401: "E_AUTH: no credential, or a wrong one.",
    403: "E_FORBIDDEN: a valid credential that is not for this.",
    404: "E_NOT_FOUND: there is no such record.",
    405: "E_METHOD_NOT_ALLOWED.",
    409: "E_RUN_CONFLICT: this run has another record, which stays as it is.",
    413: "E_TOO_LARGE: more than 10 MiB.",
    500: "E_INTERNAL or E_RECORD_DAMAGED: a fault of the server.",
    503: "E_BUSY: the object store fails; send it again.",
}


def _responses(*errors: int, **good: dict[str, Any]) -> dict[str, Any]:
    failed = {
        str(status): {
            "description": _ERRORS[status],
            "content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
        for status in sorted({400, 401, 403, 405, 500, 503, *errors})
    }
    return {**{status.removeprefix("s"): response for status, response in good.items()}, **failed}


def _good(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": _ref(schema)}}}


def _in_path(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": _NAME} for name in names]


def _in_query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


_KNOWN_ONLY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"adminToken": []}, {"masterPassword": []}]


def _operation(operation_id: str, summary: str, **rest: Any) -> dict[str, Any]:
    # The last one is nobody: open in mode none on loopback.
    security = [*_KNOWN_ONLY, {}]
    return {
        "operationId": operation_id,
        "summary": summary,
        "tags": ["records"],
        "security": security,
        **rest,
    }


_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "An ETag that the client has; the answer is 304 when it still holds.",
}
_UNCHANGED: Final = {"description": "The client has it."}
_SERVICE: Final = ("organization", "project", "service")
_LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": PAGE_ROWS_DEFAULT}
_ENTRY_NAME: Final = {"type": "string", "pattern": f"^{ENTRY_NAME_PATTERN}$"}
_CURSOR: Final = {"type": "string"}

PATHS: Final[dict[str, Any]] = {
    "/v1/artifacts": {
        "post": _operation(
            "records_ingest",
            "Record a run",
            description="The same run with the same content again changes nothing; with other content it is refused.",
            requestBody={"required": True, "content": {_JSON: {"schema": _ref("Document")}}},
            responses=_responses(
                409,
                413,
                s200=_good("This record is kept already.", "Accepted"),
                s202=_good("The record is kept, durably.", "Accepted"),
            ),
        )
    },
    "/v1/artifacts/{organization}/{project}/{service}": {
        "get": _operation(
            "records_list",
            "Runs of a service, the newest first",
            parameters=[
                *_in_path(*_SERVICE),
                _in_query("commit", _NAME, "Only runs of this commit."),
                _in_query("since", _MOMENT, "Only runs received then or later."),
                _in_query("until", _MOMENT, "Only runs received before."),
                _in_query("cursor", _ENTRY_NAME, "next_cursor of the page before."),
                _in_query("limit", _LIMIT, "Runs on the page."),
            ],
            responses=_responses(404, s200=_good("A page of runs.", "Page")),
        )
    },
    "/v1/artifacts/{organization}/{project}/{service}/latest": {
        "get": _operation(
            "records_latest",
            "The record that was received last",
            parameters=[*_in_path(*_SERVICE), _IF_NONE_MATCH],
            responses=_responses(404, s200=_good("The record.", "Envelope"), s304=_UNCHANGED),
        )
    },
    "/v1/artifacts/{organization}/{project}/{service}/runs/{run_id}": {
        "get": _operation(
            "records_read",
            "The record of a run",
            parameters=[*_in_path(*_SERVICE, "run_id"), _IF_NONE_MATCH],
            responses=_responses(404, s200=_good("The record.", "Envelope"), s304=_UNCHANGED),
        )
    },
    "/admin/records/reindex": {
        "post": _operation(
            "records_reindex",
            "Rebuild the indexes from the records, step by step",
            security=_KNOWN_ONLY,
            parameters=[
                _in_query("cursor", _CURSOR, "next_cursor of the step before."),
                _in_query("limit", _LIMIT, "Objects to look at."),
            ],
            responses=_responses(s200=_good("How far it came.", "Progress")),
        )
    },
}
