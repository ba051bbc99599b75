"""The documentation page: three files, no other host, no inline script, made from ``/openapi.json`` in the browser."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get

from runstead.platform.http.middleware.security_headers import CONTENT_SECURITY_POLICY

_PAGES: Final = Path(__file__).parent / "pages"


@cache
def _page(path: Path) -> tuple[bytes, str]:
    content = path.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def served(path: Path, media_type: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    """A file of a page of the server itself, which browsers ask for again but rarely fetch again."""
    content, etag = _page(path)
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Content-Security-Policy": CONTENT_SECURITY_POLICY}
    # Compression makes the tag a weak one; for this purpose they are the same (RFC 9110 section 13.1.2).
    if etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers, media_type=media_type)
    return Response(content, headers=headers, media_type=media_type)


@get("/docs", include_in_schema=False)
async def page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The page."""
    return served(_PAGES / "docs.html", "text/html", request)


@get("/docs/docs.css", include_in_schema=False)
async def style(request: Request[Any, Any, Any]) -> Response[bytes]:
    """How it looks."""
    return served(_PAGES / "docs.css", "text/css", request)


@get("/docs/docs.js", include_in_schema=False)
async def script(request: Request[Any, Any, Any]) -> Response[bytes]:
    """What it does."""
    return served(_PAGES / "docs.js", "text/javascript", request)


DOCUMENTATION_ROUTES: Final[list[Any]] = [page, style, script]
