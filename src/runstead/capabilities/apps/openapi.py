"""The routes of apps in the API description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from runstead.capabilities.apps.model import Route
from runstead.capabilities.apps.routes import parse_path

#: What an author may declare, and what shape it must have to be taken: a mistake of one must not spoil the whole document.
_DECLARABLE: Final[Mapping[str, Callable[[Any], bool]]] = {
    "summary": lambda value: isinstance(value, str),
    "description": lambda value: isinstance(value, str),
    "deprecated": lambda value: isinstance(value, bool),
    "tags": lambda value: isinstance(value, list) and all(isinstance(tag, str) for tag in value),
    "parameters": lambda value: isinstance(value, list) and all(map(_is_parameter, value)),
    "requestBody": lambda value: isinstance(value, dict) and isinstance(value.get("content"), dict),
    "responses": lambda value: (
        isinstance(value, dict) and bool(value) and all(map(_is_response, value.items()))
    ),
}
_ANSWERS: Final = {
    "handler": "What the app answers.",
    "stream": "A stream of events (text/event-stream).",
    "asset": "The file.",
}
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _is_parameter(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("name"), str)
        and value.get("in") in ("query", "header", "cookie", "path")
    )


def _is_response(item: tuple[str, Any]) -> bool:
    status, value = item
    is_status = status == "default" or (len(status) == 3 and status[0] in "12345")
    return is_status and isinstance(value, dict) and isinstance(value.get("description"), str)


def paths_of(routes: Iterable[tuple[str, Route]]) -> dict[str, Any]:
    """The OpenAPI 3.1 ``paths`` object; what the author declared wins over what is derived."""
    paths: dict[str, Any] = {}
    for app_id, route in routes:
        if route.method in _METHODS:
            paths.setdefault(_template(route.path), {})[route.method.lower()] = _operation(app_id, route)
    return paths


def _template(path: str) -> str:
    segments, names = parse_path(path)
    left = iter(names)
    return "/" + "/".join(f"{{{next(left)}}}" if segment in (":", "*") else segment for segment in segments)


def _operation(app_id: str, route: Route) -> Mapping[str, Any]:
    declared = {
        name: value
        for name, value in (route.openapi or {}).items()
        if name in _DECLARABLE and _DECLARABLE[name](value)
    }
    names = parse_path(route.path)[1]
    # Of the path only what is in the path, and as OpenAPI wants it.
    parameters = [
        one for one in declared.pop("parameters", []) if one["in"] != "path" or one["name"] in names
    ]
    described = {one["name"] for one in parameters if one["in"] == "path"}
    parameters = [{**one, "required": True} if one["in"] == "path" else one for one in parameters] + [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in names
        if name not in described
    ]
    return {
        "operationId": f"app {app_id} {route.method} {route.path}",
        "tags": [f"app {app_id}"],
        "summary": f"{route.handler or route.asset or 'stream'} of {app_id}",
        "responses": {"default": {"description": _ANSWERS[route.kind]}},
        "security": [],
        **({"parameters": parameters} if parameters else {}),
        **declared,
    }
