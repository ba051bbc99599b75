"""No page of another site changes anything with the session that the browser sends along (OWASP: signed double submit).

A request that a session's cookie speaks for, and that may change something, shows the session's token in ``X-CSRF-Token``. Only
pages of this origin can read it. Pages of apps may instead be vouched for by the browser itself (``Sec-Fetch-Site``, ``Origin``),
so that their plain forms work. Requests with a credential in a header are not affected: browsers do not send those by themselves.
"""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlsplit

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import ForbiddenError
from runstead.platform.http.reserved import is_reserved
from runstead.platform.http.scope import header_of
from runstead.platform.identity import Identity

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
HEADER: Final = b"x-csrf-token"


class CsrfError(ForbiddenError):
    """A request that a browser's session speaks for needs the token of the session in X-CSRF-Token."""

    code = "E_CSRF"


class CrossSiteError(ForbiddenError):
    """A web page of another site may not send this request."""

    code = "E_CSRF"


class Csrf:
    """Behind the authentication: it must know what speaks for the request."""

    def __init__(self, app: ASGIApp, *, identity: Identity) -> None:
        self._app = app
        self._identity = identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if changes and "session" in state:
            self._check(scope)
        elif changes and _signs_in(scope["path"]) and _is_foreign(scope):
            # Nobody is signed in by somebody else's page, into somebody else's account.
            raise CrossSiteError
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        state = scope["state"]
        if _is_foreign(scope):
            raise CrossSiteError
        token = header_of(scope, HEADER)
        if token is not None:
            wanted = self._identity.csrf_token(state["session"].id)
            if not hmac.compare_digest(token.encode("latin-1"), wanted.encode()):
                raise CsrfError
        elif _site(scope) != "own" or (scope["type"] == "http" and is_reserved(scope["path"])):
            raise CsrfError


def _signs_in(path: str) -> bool:
    # Providers do come back from another site, with a state that only they and this browser have.
    return path.startswith("/auth/") and not path.startswith("/auth/callback/")


def _is_foreign(scope: Scope) -> bool:
    return _site(scope) == "foreign" and not scope["state"].get("cors_allowed")


def _site(scope: Scope) -> str:
    """What the browser says of the page that sends this: ``own``, ``foreign``, or ``unknown`` for what is no browser of today."""
    origin = header_of(scope, b"origin")
    if origin is not None:
        own = urlsplit(origin).netloc.lower() == (header_of(scope, b"host") or "").lower()
        return "own" if own and origin != "null" else "foreign"
    fetched = header_of(scope, b"sec-fetch-site")
    if fetched is None:
        return "unknown"
    return "own" if fetched in ("same-origin", "none") else "foreign"
