"""The routes of apps in the API description."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runstead.capabilities.apps.model import Route
from runstead.capabilities.apps.routes import parse_path

_METADATA = ("summary", "description", "tags", "parameters", "requestBody", "responses", "deprecated")


def paths_of(routes: Iterable[tuple[str, Route]]) -> dict[str, Any]:
    """The OpenAPI 3.1 ``paths`` object; what the author declared wins over what is derived."""
    paths: dict[str, Any] = {}
    for app_id, route in routes:
        if route.method != "HEAD":
            paths.setdefault(_template(route.path), {})[route.method.lower()] = _operation(app_id, route)
    return paths


def _template(path: str) -> str:
    segments, names = parse_path(path)
    left = iter(names)
    return "/" + "/".join(f"{{{next(left)}}}" if segment in (":", "*") else segment for segment in segments)


def _operation(app_id: str, route: Route) -> Mapping[str, Any]:
    declared = {name: value for name, value in (route.openapi or {}).items() if name in _METADATA}
    operation: dict[str, Any] = {
        "operationId": f"app {app_id} {route.method} {route.path}",
        "tags": [f"app {app_id}"],
        "summary": f"{route.handler} of {app_id}",
        "responses": {"default": {"description": "What the app answers."}},
        "security": [],
        **declared,
    }
    described = {one.get("name") for one in operation.get("parameters", []) if isinstance(one, dict)}
    missing = [name for name in parse_path(route.path)[1] if name not in described]
    if missing:
        operation["parameters"] = [
            *operation.get("parameters", []),
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                for name in missing
            ),
        ]
    return operation
