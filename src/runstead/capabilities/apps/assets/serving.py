"""Files over HTTP: validators, ranges, caching (RFC 9110 sections 8.8, 13 and 14)."""

from __future__ import annotations

import re
from typing import Final, Literal

from runstead.capabilities.apps.assets.store import Asset, AssetStore
from runstead.kernel.capability import Scope, Send
from runstead.platform.http import header_of

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
#: Seconds that a cache may answer without asking; after that it asks with the ETag.
CACHE_SECONDS: Final = 60


async def serve_asset(store: AssetStore, app_id: str, asset: Asset, scope: Scope, send: Send) -> None:
    """Answer GET or HEAD."""
    tag = f'"{asset.digest[:32]}"'
    headers = [
        (b"etag", tag.encode()),
        (b"cache-control", f"public, max-age={CACHE_SECONDS}".encode()),
        (b"accept-ranges", b"bytes"),
        (b"content-type", _typed(asset.mime).encode("latin-1")),
    ]
    if _is_known(header_of(scope, b"if-none-match"), tag):
        await _answer(send, 304, headers[:2], b"")
        return
    content = await store.content(app_id, asset.digest)
    wanted = header_of(scope, b"range")
    condition = header_of(scope, b"if-range")
    if wanted is not None and (condition is None or condition == tag):
        part = _part(wanted, len(content))
        if part is False:
            await _answer(send, 416, [(b"content-range", f"bytes */{len(content)}".encode())], b"")
            return
        if part is not None:
            first, last = part
            shown = (b"content-range", f"bytes {first}-{last}/{len(content)}".encode())
            await _answer(
                send, 206, [*headers, shown], content[first : last + 1], is_head=scope["method"] == "HEAD"
            )
            return
    await _answer(send, 200, headers, content, is_head=scope["method"] == "HEAD")


def _typed(mime: str) -> str:
    return f"{mime}; charset=utf-8" if mime.startswith("text/") and "charset" not in mime else mime


def _is_known(given: str | None, tag: str) -> bool:
    if given is None:
        return False
    return given.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in given.split(",")]


def _part(wanted: str, size: int) -> tuple[int, int] | Literal[False] | None:
    """First and last byte; False: none of them is there; None: not understood, so the whole is sent."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        count = int(last)
        return (max(0, size - count), size - 1) if count and size else False
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if start >= size:
        return False
    return (start, end) if start <= end else None


async def _answer(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes, *, is_head: bool = False
) -> None:
    if status != 304:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})
