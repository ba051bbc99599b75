"""The cookie of a session."""

from __future__ import annotations

from typing import Any, Final

from litestar.datastructures import Cookie

from runstead.platform.http.middleware.origin_guard import host_name
from runstead.platform.http.scope import header_of
from runstead.platform.identity.accounts import Accounts
from runstead.platform.identity.authentication import (
    COOKIE,
    CSRF_COOKIE,
    SECURE_COOKIE,
    SECURE_CSRF_COOKIE,
    csrf_token,
    seal_cookie,
)
from runstead.platform.identity.devices import KNOWN_DAYS
from runstead.platform.identity.factors.passkeys import Site
from runstead.platform.identity.sessions import SignedIn
from runstead.platform.identity.visitor import AGENT_CHARS_MAX, Visitor

DEVICE_COOKIE: Final = "runstead-device"
SECURE_DEVICE_COOKIE: Final = "__Host-runstead-device"
_SECRET_CHARS_MAX: Final = 64


def visitor_of(scope: Any) -> Visitor:
    """Address and browser of a request."""
    agent = header_of(scope, b"user-agent") or ""
    return Visitor((scope.get("client") or ("",))[0], agent[:AGENT_CHARS_MAX])


def session_cookies(accounts: Accounts, scope: Any, signed_in: SignedIn, secret: str) -> list[Cookie]:
    """Sent with the answer that signs somebody in: the session, and the token that pages show beside it."""
    value = seal_cookie(accounts.sealer, signed_in.session.id, secret)
    token = csrf_token(accounts.sealer, signed_in.session.id)
    return _cookies(scope, value, token, accounts.settings.session_days * 86_400)


def no_cookies(scope: Any) -> list[Cookie]:
    """Makes the browser forget the session."""
    return _cookies(scope, "", "", 0)


def _cookies(scope: Any, session: str, token: str, seconds: int) -> list[Cookie]:
    secure = scope.get("scheme") == "https"
    # Not strict: a link in a mail or a chat should find people signed in. State changes ask for more than the cookie.
    shared: dict[str, Any] = {"path": "/", "max_age": seconds, "secure": secure}
    return [
        Cookie(
            key=SECURE_COOKIE if secure else COOKIE, value=session, httponly=True, samesite="lax", **shared
        ),
        Cookie(key=SECURE_CSRF_COOKIE if secure else CSRF_COOKIE, value=token, samesite="strict", **shared),
    ]


def device_cookie(scope: Any, secret: str) -> Cookie:
    """By which a browser is known again; it proves nothing by itself."""
    secure = scope.get("scheme") == "https"
    return Cookie(
        key=SECURE_DEVICE_COOKIE if secure else DEVICE_COOKIE,
        value=secret,
        path="/",
        max_age=KNOWN_DAYS * 86_400,
        httponly=True,
        secure=secure,
        samesite="lax",
    )


def device_of(request: Any) -> str:
    """What :func:`device_cookie` has set; empty when there is none."""
    cookies = request.cookies
    found = cookies.get(SECURE_DEVICE_COOKIE) or cookies.get(DEVICE_COOKIE) or ""
    return str(found)[:_SECRET_CHARS_MAX]


def site_of(scope: Any) -> Site:
    """What browsers take us for, as far as passkeys are concerned."""
    authority = header_of(scope, b"host") or "localhost"
    return Site(host_name(authority), f"{scope.get('scheme', 'http')}://{authority}")
