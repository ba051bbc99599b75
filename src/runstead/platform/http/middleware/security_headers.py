"""Headers that tell a browser what it must not do with our answers."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send

_Header = tuple[bytes, bytes]

#: Whoever answers may set these differently for its own answer; what it sets is kept.
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

#: One year; without subdomains, which are not ours to decide for.
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")

#: For HTML of the server itself: everything from this server, nothing inline, in no frame.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

#: What stands for the request's nonce in a policy.
NONCE: Final = "{nonce}"
_NONCE_BYTES: Final = 16
_POLICY: Final = b"content-security-policy"


class SecurityHeaders:
    """Adds the headers that the answer does not set itself.

    HTML without a policy of its own gets the operator's; ``{nonce}`` in it is replaced by a value that is new for each request
    and stands in ``scope["state"]["csp_nonce"]`` for whoever renders.
    """

    def __init__(self, app: ASGIApp, *, changes: Mapping[str, str] | None = None, policy: str = "") -> None:
        """Build the layer.

        :param changes: header → another value, or the empty text for none.
        :param policy: a Content-Security-Policy for HTML.
        """
        self._app = app
        ours = dict((*HEADERS, HSTS))
        for name, value in (changes or {}).items():
            ours[name.lower().encode("ascii")] = value.encode("latin-1")
        self._hsts = ours.pop(HSTS[0], b"")
        self._headers = tuple((name, value) for name, value in ours.items() if value)
        self._names = frozenset((*ours, HSTS[0]))
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = self._headers
        if self._hsts and scope.get("scheme") in ("https", "wss"):
            ours = (*ours, (HSTS[0], self._hsts))
        nonce = ""
        if NONCE in self._policy:
            nonce = scope["state"]["csp_nonce"] = secrets.token_urlsafe(_NONCE_BYTES)

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                if not self._names.isdisjoint(name for name, _value in headers):
                    message["headers"] = _without_doubles(headers, ours)
                else:
                    message["headers"] = [*headers, *ours]
                if self._policy and _is_html_without_policy(headers):
                    policy = self._policy.replace(NONCE, nonce).encode("latin-1")
                    message["headers"].append((_POLICY, policy))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _without_doubles(headers: Iterable[_Header], ours: Iterable[_Header]) -> list[_Header]:
    headers = list(headers)
    present = {name for name, _value in headers}
    return [*headers, *(header for header in ours if header[0] not in present)]


def _is_html_without_policy(headers: Iterable[_Header]) -> bool:
    found = dict(headers)
    return found.get(b"content-type", b"").startswith(b"text/html") and _POLICY not in found
