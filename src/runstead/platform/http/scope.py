"""What the stack knows of a request: ``scope["state"]`` holds ``request_id``, ``actor`` and ``headers``."""

from __future__ import annotations

from typing import Any

from runstead.kernel.capability import Scope
from runstead.platform.identity import ANONYMOUS, Actor


def state_of(scope: Scope) -> dict[str, Any]:
    """The state of this request, made when there is none."""
    state: dict[str, Any] | None = scope.get("state")
    if state is None:
        state = scope["state"] = {}
    return state


def request_id_of(scope: Scope) -> str:
    """The id that stands in the answer and in every log line of this request."""
    request_id: str = state_of(scope).get("request_id", "")
    return request_id


def actor_of(scope: Scope) -> Actor:
    """Who asks."""
    actor: Actor = state_of(scope).get("actor", ANONYMOUS)
    return actor


def header_of(scope: Scope, name: bytes) -> str | None:
    """One request header by its lower-case name; of several with this name the last one."""
    headers: dict[bytes, bytes] | None = state_of(scope).get("headers")
    if headers is None:
        headers = scope["state"]["headers"] = dict(scope["headers"])
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def set_route(scope: Scope, template: str) -> None:
    """Name the route for metrics and the access log. Dispatchers call it with the registered template, never with the
    path that was asked for: each template is a series that is kept."""
    scope["path_template"] = template


def route_of(scope: Scope) -> str:
    """The template of the route that served this request."""
    return scope.get("path_template") or "unmatched"
