"""From what a script asked for in ``init`` to what it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from runstead.capabilities.apps.model import METHODS, Route
from runstead.capabilities.apps.routes import parse_path
from runstead.kernel.errors import UnprocessableError
from runstead.platform.execution.script import is_function_name
from runstead.platform.http import is_reserved

#: Routes of one app.
ROUTES_MAX: Final = 1000


def routes_of(registrations: Sequence[Mapping[str, Any]]) -> tuple[Route, ...]:
    """The routes, checked; the last registration of a method and path wins, as in a script it would.

    :raises UnprocessableError: says which registration is wrong, and why.
    """
    routes: dict[tuple[str, tuple[str, ...]], Route] = {}
    for registration in registrations:
        if registration.get("kind") == "route":
            route = _route(registration)
            routes[route.method, parse_path(route.path)[0]] = route
    if len(routes) > ROUTES_MAX:
        raise UnprocessableError(f"the app registers {len(routes)} routes; {ROUTES_MAX} are allowed")
    return tuple(routes.values())


def _route(registration: Mapping[str, Any]) -> Route:
    method, path, handler = (str(registration.get(name, "")) for name in ("method", "path", "handler"))
    if method not in METHODS:
        raise UnprocessableError(f"{path}: {method!r} is no method; allowed: {', '.join(METHODS)}")
    try:
        parse_path(path)
    except ValueError as error:
        raise UnprocessableError(str(error)) from error
    if is_reserved(path):
        raise UnprocessableError(f"{path} is reserved for the server itself")
    if not is_function_name(handler):
        raise UnprocessableError(
            f"{method} {path}: {handler[:64]!r} is no name of a function; each request runs the script anew, "
            "so a handler is a global function, given by its name"
        )
    openapi = registration.get("openapi")
    return Route(
        method=method, path=path, handler=handler, openapi=openapi if isinstance(openapi, dict) else None
    )
