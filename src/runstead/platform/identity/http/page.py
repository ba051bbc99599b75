"""The page for signing in, and for what links open: three files, nothing inline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get

from runstead.platform.http.documentation import served
from runstead.platform.identity.permissions import guard

_PAGES: Final = Path(__file__).parent / "pages"
_AnyRequest = Request[Any, Any, Any]


@get("/auth/sign-in", include_in_schema=False, guards=[guard("server.public")])
async def page(request: _AnyRequest) -> Response[bytes]:
    """The page."""
    return served(_PAGES / "sign-in.html", "text/html", request)


@get("/auth/sign-in.css", include_in_schema=False, guards=[guard("server.public")])
async def style(request: _AnyRequest) -> Response[bytes]:
    """How it looks."""
    return served(_PAGES / "sign-in.css", "text/css", request)


@get("/auth/sign-in.js", include_in_schema=False, guards=[guard("server.public")])
async def script(request: _AnyRequest) -> Response[bytes]:
    """What it does."""
    return served(_PAGES / "sign-in.js", "text/javascript", request)


PAGE_ROUTES: Final[list[Any]] = [page, style, script]
