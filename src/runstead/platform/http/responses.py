"""Answers in plain ASGI, for dispatchers and middleware."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import RunsteadError

_FORBIDDEN_IN_HEADERS: Final = re.compile("[\r\n\0]")
_encode = msgspec.json.Encoder().encode


def encode_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers for ASGI.

    :raises ValueError: for a line break or NUL, which would let a value start a header or a body of its own.
    """
    encoded = []
    for name, value in headers.items():
        if _FORBIDDEN_IN_HEADERS.search(name) or _FORBIDDEN_IN_HEADERS.search(value):
            raise ValueError(f"the header {name!r} holds a line break")
        encoded.append((name.lower().encode("ascii"), value.encode("latin-1", "replace")))
    return encoded


def bytes_response(
    status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
) -> ASGIApp:
    """An application that sends exactly this."""
    raw = [
        (b"content-type", content_type.encode("latin-1")),
        (b"content-length", str(len(body)).encode()),
        *(encode_headers(headers) if headers else ()),
    ]

    async def respond(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return respond


def json_response(status: int, value: Any, headers: Mapping[str, str] | None = None) -> ASGIApp:
    """An application that sends this value as JSON."""
    return bytes_response(status, _encode(value), "application/json", headers)


def error_response(error: RunsteadError, request_id: str) -> ASGIApp:
    """An application that sends this error in the envelope."""
    return json_response(error.status, error.envelope(request_id), error.headers)
