"""From what a script asked for in ``init`` to what it gets."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from runstead.capabilities.apps.model import METHODS, Registered, Route, Timer, Webhook
from runstead.capabilities.apps.routes import parse_path
from runstead.kernel.clock import parse_rfc3339
from runstead.kernel.errors import UnprocessableError
from runstead.platform.execution.script import is_function_name
from runstead.platform.http import is_reserved

#: Routes of one app; and of everything else that it may register, how many of each.
ROUTES_MAX: Final = 1000
OTHERS_MAX: Final = 200
#: Milliseconds between two times of a timer.
EVERY_MS_MIN: Final = 100
EVERY_MS_MAX: Final = 366 * 24 * 3600 * 1000
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_GRAPHQL_NAME: Final = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,127}")
_VISIBILITIES: Final = ("internal", "engine", "external")
_Registration = Mapping[str, Any]


def registered_of(registrations: Sequence[_Registration]) -> Registered:
    """What was asked for, checked; the last registration of a method and path wins, as in a script it would.

    :raises UnprocessableError: says which registration is wrong, and why.
    """
    routes: dict[tuple[str, tuple[str, ...]], Route] = {}
    for one in _of(registrations, "route", "stream", "asset"):
        route = _route(one)
        routes[route.method, parse_path(route.path)[0]] = route
    if len(routes) > ROUTES_MAX:
        raise UnprocessableError(f"the app registers {len(routes)} routes; {ROUTES_MAX} are allowed")
    for kind in ("schedule", "listener", "webhook", "graphql", "mcp"):
        if (count := len(list(_of(registrations, kind)))) > OTHERS_MAX:
            raise UnprocessableError(f"the app registers {count} of {kind}; {OTHERS_MAX} are allowed")
    listeners: dict[str, tuple[str, ...]] = {}
    for one in _of(registrations, "listener"):
        kind = _named(one.get("type"), "type of a message")
        listeners[kind] = (*listeners.get(kind, ()), _handler(one, f"the listener for {kind}"))
    return Registered(
        routes=tuple(routes.values()),
        timers=_timers(registrations),
        listeners=listeners,
        webhooks=tuple(map(_webhook, _of(registrations, "webhook"))),
        graphql=tuple(map(_graphql, _of(registrations, "graphql"))),
        mcp=tuple(map(_mcp, _of(registrations, "mcp"))),
    )


def timer_of(one: _Registration) -> Timer:
    """:raises UnprocessableError: says what is wrong with it."""
    name = _named(one.get("name"), "name of a timer")
    every, at = one.get("every"), one.get("at")
    if every is not None and (
        not isinstance(every, int | float)
        or not math.isfinite(every)
        or not EVERY_MS_MIN <= every <= EVERY_MS_MAX
    ):
        raise UnprocessableError(
            f"the timer {name}: an interval has {EVERY_MS_MIN} to {EVERY_MS_MAX} milliseconds"
        )
    try:
        moment = None if at is None else parse_rfc3339(str(at))
    except ValueError as error:
        raise UnprocessableError(f"the timer {name}: {str(at)[:64]!r} is no moment") from error
    if every is None and moment is None:
        raise UnprocessableError(f"the timer {name} has neither a time nor an interval")
    return Timer(
        name=name,
        handler=_handler(one, f"the timer {name}"),
        at=moment,
        every_ms=None if every is None else int(every),
    )


def _of(registrations: Sequence[_Registration], *kinds: str) -> Iterator[_Registration]:
    return (one for one in registrations if one.get("kind") in kinds)


def _timers(registrations: Sequence[_Registration]) -> tuple[Timer, ...]:
    """What stands after the last ``clearAll``; of one name, the last."""
    timers: dict[str, Timer] = {}
    for one in _of(registrations, "schedule", "clearSchedules"):
        if one["kind"] == "clearSchedules":
            timers.clear()
        else:
            timer = timer_of(one)
            timers[timer.name] = timer
    return tuple(timers.values())


def _route(one: _Registration) -> Route:
    path = str(one.get("path", ""))
    method = str(one.get("method", "")) if one["kind"] == "route" else "GET"
    if method not in METHODS:
        raise UnprocessableError(f"{path}: {method!r} is no method; allowed: {', '.join(METHODS)}")
    try:
        parse_path(path)
    except ValueError as error:
        raise UnprocessableError(str(error)) from error
    if is_reserved(path):
        raise UnprocessableError(f"{path} is reserved for the server itself")
    openapi = one.get("openapi") if isinstance(one.get("openapi"), dict) else None
    if one["kind"] == "asset":
        return Route(
            method=method,
            path=path,
            handler="",
            kind="asset",
            asset=str(one.get("asset", "")),
            openapi=openapi,
        )
    if one["kind"] == "stream":
        handler = _handler(one, path) if one.get("handler") else ""
        return Route(method=method, path=path, handler=handler, kind="stream", openapi=openapi)
    return Route(method=method, path=path, handler=_handler(one, f"{method} {path}"), openapi=openapi)


def _handler(one: _Registration, what: str) -> str:
    handler = str(one.get("handler", ""))
    if not is_function_name(handler):
        raise UnprocessableError(
            f"{what}: {handler[:64]!r} is no name of a function; each request runs the script anew, "
            "so a handler is a global function, given by its name"
        )
    return handler


def _named(value: Any, what: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise UnprocessableError(f"{str(value)[:64]!r} is no {what}")
    return value


def _webhook(one: _Registration) -> Webhook:
    event, url, headers = _named(one.get("event"), "event"), str(one.get("url", "")), one.get("headers")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname or len(url) > 2000:
        raise UnprocessableError(f"the webhook for {event}: {url[:64]!r} is no URL that can be asked")
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise UnprocessableError(f"the webhook for {event}: its headers are no texts by name")
    return Webhook(event=event, url=url, secret=one.get("secret"), headers=headers)


def _graphql(one: _Registration) -> dict[str, Any]:
    name, visibility = str(one.get("name", "")), str(one.get("visibility", ""))
    if not _GRAPHQL_NAME.fullmatch(name):
        raise UnprocessableError(f"{name[:64]!r} is no name in GraphQL")
    if visibility not in _VISIBILITIES:
        raise UnprocessableError(
            f"{name}: {visibility!r} is no visibility; allowed: {', '.join(_VISIBILITIES)}"
        )
    return {
        "operation": one.get("operation"),
        "name": name,
        "sdl": str(one.get("sdl", "")),
        "handler": _handler(one, f"GraphQL {name}"),
        "visibility": visibility,
    }


def _mcp(one: _Registration) -> dict[str, Any]:
    name = _named(one.get("name"), "name in MCP")
    shown = {"kind": one.get("what"), "name": name, "description": str(one.get("description", ""))}
    extra = {key: one[key] for key in ("uri", "schema") if key in one}
    return {**shown, **extra, "handler": _handler(one, f"MCP {name}")}
