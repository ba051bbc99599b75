"""Nothing but HTTPS, where the operator wants it so."""

from __future__ import annotations

from typing import Final, Literal

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import ForbiddenError
from runstead.platform.http.responses import bytes_response
from runstead.platform.http.scope import header_of

#: Load balancers ask for these in clear.
_PROBES: Final = frozenset({"/healthz", "/ready"})


class HttpsRequiredError(ForbiddenError):
    """This server answers over HTTPS only."""

    code = "E_HTTPS"


class Transport:
    """Sends readers over to HTTPS (308, which keeps method and body) or refuses. Never redirects what carries a credential in
    clear silently: whoever sends one over HTTP has to learn it."""

    def __init__(self, app: ASGIApp, *, policy: Literal["redirect", "require"]) -> None:
        self._app = app
        self._redirects = policy == "redirect"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("scheme") in ("https", "wss") or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        host = header_of(scope, b"host")
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not (self._redirects and reads and host and header_of(scope, b"authorization") is None):
            raise HttpsRequiredError
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        target = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        if query := scope.get("query_string"):
            target += "?" + query.decode("latin-1")
        # Two slashes would be read as another host.
        location = f"https://{name}/{target.lstrip('/')}"
        await bytes_response(308, b"", "text/plain", {"Location": location})(scope, receive, send)
