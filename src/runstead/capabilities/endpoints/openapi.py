"""The declared routes as OpenAPI 3.1."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from runstead.capabilities.endpoints.entry import component_schemas
from runstead.capabilities.endpoints.model import Endpoint

#: Names of our schemas begin with this, so that they meet no other capability's.
_PREFIX = "Endpoint"

_ERRORS = {
    "400": ("E_BAD_REQUEST", "The body, the query or the content type is not what an endpoint takes."),
    "401": ("E_AUTH", "No password, or a wrong one. Counted."),
    "403": ("E_FORBIDDEN", "A valid credential that is not for this."),
    "404": ("E_NOT_FOUND", "No such endpoint, or it is disabled."),
    "405": ("E_METHOD_NOT_ALLOWED", "The path is known, the method is not."),
    "413": ("E_TOO_LARGE", "The body is larger than 1 MiB."),
    "429": ("E_LOCKED", "Too many wrong passwords from this address."),
    "500": ("E_INTERNAL", "A fault of the server."),
    "502": (
        "E_SCRIPT_EXIT, E_SCRIPT_OUTPUT, E_SCRIPT_LIMIT",
        "The program failed, printed something else than an answer, or hit a limit.",
    ),
    "503": ("E_BUSY", "As many run and wait as may, or the server is stopping."),
    "504": ("E_SCRIPT_TIMEOUT", "The program took longer than it may."),
}
_WITH_RETRY_AFTER = frozenset({"429", "503"})


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{_PREFIX}{name}"}


@functools.cache
def components() -> dict[str, Any]:
    """Schemas and security schemes that the paths refer to."""
    schemas = component_schemas(f"#/components/schemas/{_PREFIX}{{name}}")
    schemas["Error"] = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "request_id"],
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "details": {},
                    "request_id": {"type": "string"},
                },
            }
        },
    }
    schemas["Call"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "entry_ids": {"type": "array", "items": {"type": "string"}},
            "params": {"type": "object", "additionalProperties": True},
        },
    }
    return {
        "schemas": {_PREFIX + name: schema for name, schema in schemas.items()},
        "securitySchemes": {
            "masterPassword": {
                "type": "http",
                "scheme": "bearer",
                "description": "MASTER_PASSWORD, where the server has one.",
            },
            "masterPasswordHeader": {"type": "apiKey", "in": "header", "name": "X-Master-Password"},
        },
    }


def paths_of(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The paths object of these endpoints."""
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.template.text, {})[endpoint.method.lower()] = _operation(endpoint)
    return paths


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in endpoint.template.names.values()
    ]
    operation: dict[str, Any] = {
        "operationId": f"endpoint_{endpoint.name}",
        "summary": f"Run {endpoint.script.name}",
        "description": "Query and path parameters are merged under `params`; the body wins over both.",
        "tags": ["endpoints"],
        "security": [{"masterPassword": []}, {"masterPasswordHeader": []}, {}],
        "parameters": parameters,
        "responses": {
            "200": _response("The program's answer.", "Answer"),
            "202": {
                "description": "Asked for by `Prefer: respond-async`: the run goes on; Location tells what becomes of it.",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            **_error_responses(),
        },
    }
    if endpoint.method not in ("GET", "DELETE"):
        operation["requestBody"] = {
            "required": False,
            "content": {"application/json": {"schema": _call_schema(endpoint)}},
        }
    return operation


def _call_schema(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.parameters is None:
        return _ref("Call")
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "entry_ids": {"type": "array", "items": {"type": "string"}},
            "params": endpoint.parameters.schema,
        },
    }


def _response(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _error_responses() -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, (codes, description) in _ERRORS.items():
        responses[status] = _response(f"{codes}: {description}", "Error")
        if status in _WITH_RETRY_AFTER:
            responses[status]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}
            }
    return responses
