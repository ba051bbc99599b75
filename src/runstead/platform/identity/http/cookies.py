"""The cookie of a session."""

from __future__ import annotations

from typing import Any

from litestar.datastructures import Cookie

from runstead.platform.http.scope import header_of
from runstead.platform.identity.accounts import Accounts
from runstead.platform.identity.authentication import COOKIE, SECURE_COOKIE, seal_cookie
from runstead.platform.identity.sessions import SignedIn
from runstead.platform.identity.visitor import AGENT_CHARS_MAX, Visitor


def visitor_of(scope: Any) -> Visitor:
    """Address and browser of a request."""
    agent = header_of(scope, b"user-agent") or ""
    return Visitor((scope.get("client") or ("",))[0], agent[:AGENT_CHARS_MAX])


def session_cookie(accounts: Accounts, scope: Any, signed_in: SignedIn, secret: str) -> Cookie:
    """Sent with the answer that signs somebody in."""
    value = seal_cookie(accounts.sealer, signed_in.session.id, secret)
    return _cookie(scope, value, accounts.settings.session_days * 86_400)


def no_cookies(scope: Any) -> list[Cookie]:
    """Makes the browser forget the session."""
    return [_cookie(scope, "", 0)]


def _cookie(scope: Any, value: str, seconds: int) -> Cookie:
    secure = scope.get("scheme") == "https"
    return Cookie(
        key=SECURE_COOKIE if secure else COOKIE,
        value=value,
        path="/",
        max_age=seconds,
        httponly=True,
        secure=secure,
        # Not strict: a link in a mail or a chat should find people signed in. State changes ask for more than the cookie.
        samesite="lax",
    )
