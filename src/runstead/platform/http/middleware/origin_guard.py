"""Keeps web pages of strangers from driving a server that listens on loopback only.

A browser on the same machine reaches the loopback, so listening there is no protection against the pages it shows. Two
attacks are stopped: a name of the attacker that resolves to 127.0.0.1 (DNS rebinding: the ``Host`` header gives it away),
and a form or script of another site that sends a request here (``Sec-Fetch-Site`` and ``Origin`` give it away).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import BadRequestError, ForbiddenError
from runstead.platform.http.errors import MisdirectedError
from runstead.platform.http.scope import header_of

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:@/\[\]]*)(?::\d*)?")
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_name(authority: str) -> str:
    """The name of ``name:port``, lower-case, without the final dot that means the same. What is no authority comes back
    as it is, and is no known name."""
    match = _AUTHORITY.fullmatch(authority.lower())
    return match[1].rstrip(".") if match else authority


@lru_cache(maxsize=256)
def _host_name(authority: bytes) -> str:
    return host_name(authority.decode("latin-1"))


class OriginGuard:
    """Active on a loopback address; elsewhere it checks ``Host`` alone, and only when ``allowed_hosts`` is set."""

    def __init__(self, app: ASGIApp, *, host: str, allowed_hosts: Iterable[str]) -> None:
        self._app = app
        self._loopback = is_loopback(host)
        named = {host_name(name) for name in allowed_hosts}
        local = _LOOPBACK_NAMES | {host_name(host) if ":" not in host else f"[{host.strip('[]')}]"}
        self._names = frozenset(named | local) if self._loopback or named else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._names is not None:
            host = _host(scope)
            if host and _host_name(host) not in self._names:
                raise MisdirectedError(
                    "This server does not answer for that host name; add it to server.allowed_hosts if it should."
                )
            if self._loopback and (scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS):
                _refuse_cross_site(scope, self._names)
        await self._app(scope, receive, send)


def _host(scope: Scope) -> bytes:
    """The one ``Host``; a request of HTTP/1.1 has exactly one (RFC 9112 section 3.2). No browser leaves it out."""
    headers: dict[bytes, bytes] = scope["state"]["headers"]
    host = headers.get(b"host", b"")
    several = len(scope["headers"]) != len(headers) and (
        sum(name == b"host" for name, _ in scope["headers"]) > 1
    )
    if several or (not host and scope["http_version"] == "1.1"):
        raise BadRequestError("A request needs exactly one Host.")
    return host


def _refuse_cross_site(scope: Scope, names: frozenset[str]) -> None:
    if scope["state"].get("cors_allowed"):
        return
    origin = header_of(scope, b"origin")
    foreign = origin is not None and host_name(urlsplit(origin).netloc) not in names
    if foreign or header_of(scope, b"sec-fetch-site") == "cross-site":
        raise ForbiddenError("A web page of another site may not send this request.")
