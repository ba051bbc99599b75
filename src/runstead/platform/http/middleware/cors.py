"""Cross-origin requests of browsers, as far as the operator's policy goes (Fetch standard, section 3.2).

Without a policy no answer carries a CORS header, and browsers keep other sites out. The policy speaks of origins; what a caller
may do is still decided by their credential.
"""

from __future__ import annotations

from typing import Any, Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.platform.config.settings import CorsSettings
from runstead.platform.http.scope import header_of

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"


class Cors:
    """Answers preflights of allowed origins, and marks answers for them."""

    def __init__(self, app: ASGIApp, *, policy: CorsSettings) -> None:
        self._app = app
        self._any = "*" in policy.origins
        self._origins = frozenset(policy.origins)
        self._credentials = policy.credentials
        self._preflight = [
            (b"access-control-allow-methods", _METHODS.encode()),
            (b"access-control-allow-headers", ", ".join(policy.headers).encode()),
            (b"access-control-max-age", str(policy.max_age_seconds).encode()),
        ]
        self._expose = ", ".join(policy.expose).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = header_of(scope, b"origin")
        if scope["type"] != "http" or origin is None or not (self._any or origin in self._origins):
            await self._app(scope, receive, self._varying(send) if scope["type"] == "http" else send)
            return
        scope["state"]["cors_allowed"] = True
        headers = self._headers(origin)
        if scope["method"] == "OPTIONS" and header_of(scope, b"access-control-request-method"):
            start = {"type": "http.response.start", "status": 204, "headers": [*headers, *self._preflight]}
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        if self._expose:
            headers.append((b"access-control-expose-headers", self._expose))

        async def send_marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                # An app that has a policy of its own keeps it.
                present = {name for name, _ in message.get("headers", ())}
                ours = () if b"access-control-allow-origin" in present else headers
                message["headers"] = [*message.get("headers", ()), *ours]
            await send(message)

        await self._app(scope, receive, send_marked)

    def _headers(self, origin: str) -> list[tuple[bytes, bytes]]:
        if self._any:
            return [(b"access-control-allow-origin", b"*")]
        headers = [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]
        if self._credentials:
            headers.append((b"access-control-allow-credentials", b"true"))
        return headers

    def _varying(self, send: Send) -> Send:
        """A cache must not hand an answer without the headers to an origin that should have them."""
        if self._any:
            return send

        async def send_varying(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"vary", b"Origin")]
            await send(message)

        return send_varying
