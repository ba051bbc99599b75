"""Smaller answers for clients that can read them."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.limits import KIB
from runstead.platform.http.middleware.encoding import ENCODERS, Encoder, choose_encoding

#: Smaller bodies fit into one packet either way.
SIZE_MIN: Final = 1 * KIB

#: Larger pieces are compressed in a thread: the event loop must not stand still for a report of 10 MB.
_LOOP_BYTES_MAX: Final = 128 * KIB

#: What shrinks. Images, video, archives and fonts are compressed already.
_COMPRESSIBLE: Final = re.compile(
    rb"text/(?!event-stream)|application/(?:[\w.+-]*(?:json|xml|javascript|ecmascript|yaml|toml|graphql|ndjson)|wasm"
    rb"|x-www-form-urlencoded)|image/(?:svg\+xml|bmp)|font/(?:ttf|otf)",
    re.IGNORECASE,
)

_VARY: Final = (b"vary", b"Accept-Encoding")


class Compression:
    """Compresses what is compressible, whole bodies and streams alike.

    Streams are compressed piece by piece and flushed after each, one piece in hand: the sender waits for the client as it
    would without. Left alone: event streams (a compressor for each of thousands of idle streams costs more memory than the
    bytes are worth), answers that are encoded already or say ``no-transform``, ranges, and anything below :data:`SIZE_MIN`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "HEAD":
            await self._app(scope, receive, send)
            return
        accepted = scope["state"]["headers"].get(b"accept-encoding")
        encoding = choose_encoding(accepted) if accepted else None
        await self._app(scope, receive, _Answer(send, encoding).send)


class _Answer:
    """One answer on its way. The start is held back until the first piece of the body tells its size."""

    def __init__(self, send: Send, encoding: str | None) -> None:
        self._send = send
        self._encoding = encoding
        self._start: Any = None
        self._encoder: Encoder | None = None

    async def send(self, message: Any) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            if not _is_compressible(message):
                self._encoding = None
                await self._send(message)
                return
            message["headers"] = _with_vary(message.get("headers", ()))
            if self._encoding is None:
                await self._send(message)
                return
            self._start = message
            return
        if kind != "http.response.body" or self._encoding is None:
            await self._send(message)
            return
        await self._send_body(message, self._encoding)

    async def _send_body(self, message: Any, encoding: str) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._start is not None:
            start, self._start = self._start, None
            if not more and len(body) < SIZE_MIN:
                self._encoding = None
                await self._send(start)
                await self._send(message)
                return
            self._encoder = ENCODERS[encoding]()
            data = await self._encode(body, more)
            start["headers"] = _encoded_headers(start["headers"], encoding, None if more else len(data))
            await self._send(start)
        else:
            data = await self._encode(body, more)
        if data or not more:
            await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def _encode(self, body: bytes, more: bool) -> bytes:
        encoder = self._encoder
        if encoder is None or (more and not body):
            return b""
        encode = encoder.piece if more else encoder.last
        if len(body) > _LOOP_BYTES_MAX:
            return await asyncio.to_thread(encode, body)
        return encode(body)


def _is_compressible(start: Any) -> bool:
    if start["status"] < 200 or start["status"] in (204, 205, 206, 304):
        return False
    compressible = False
    for name, value in start.get("headers", ()):
        if name == b"content-type":
            compressible = _COMPRESSIBLE.match(value) is not None
        elif (
            name in (b"content-encoding", b"content-range")
            or (name == b"cache-control" and b"no-transform" in value.lower())
            or (name == b"content-length" and value.isdigit() and int(value) < SIZE_MIN)
        ):
            return False
    return compressible


def _with_vary(headers: Any) -> list[tuple[bytes, bytes]]:
    """Say that the answer depends on ``Accept-Encoding``, also when this one is not compressed: caches need to know."""
    copy: list[tuple[bytes, bytes]] = list(headers)
    for name, value in copy:
        if name == b"vary" and (b"accept-encoding" in value.lower() or value.strip() == b"*"):
            return copy
    return [*copy, _VARY]


def _encoded_headers(
    headers: list[tuple[bytes, bytes]], encoding: str, length: int | None
) -> list[tuple[bytes, bytes]]:
    kept = []
    for name, value in headers:
        if name in (b"content-length", b"accept-ranges"):
            continue
        # The bytes differ from those that a strong tag stands for (RFC 9110 section 8.8.3).
        weaken = name == b"etag" and not value.startswith(b"W/")
        kept.append((name, b"W/" + value if weaken else value))
    kept.append((b"content-encoding", encoding.encode()))
    if length is not None:
        kept.append((b"content-length", str(length).encode()))
    return kept
