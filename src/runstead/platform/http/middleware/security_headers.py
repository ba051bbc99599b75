"""Headers that tell a browser what it must not do with our answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send

_Header = tuple[bytes, bytes]

#: Whoever answers may set these differently for its own answer; what it sets is kept.
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)

#: One year; without subdomains, which are not ours to decide for.
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")

#: For HTML of the server itself: everything from this server, nothing inline, in no frame.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_NAMES: Final = frozenset(name for name, _value in (*HEADERS, HSTS))


def _without_doubles(headers: Iterable[_Header], ours: Iterable[_Header]) -> list[_Header]:
    headers = list(headers)
    present = {name for name, _value in headers}
    return [*headers, *(header for header in ours if header[0] not in present)]


class SecurityHeaders:
    """Adds the headers that the answer does not set itself."""

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app = app
        self._headers = (*HEADERS, HSTS) if tls else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = self._headers

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                for name, _value in headers:
                    if name in _NAMES:
                        message["headers"] = _without_doubles(headers, ours)
                        break
                else:
                    message["headers"] = [*headers, *ours]
            await send(message)

        await self._app(scope, receive, send_with_headers)
