"""Between HTTP and a script: a request becomes a plain value, what a handler returned becomes a response."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from runstead.capabilities.apps.errors import AppResponseError
from runstead.kernel.capability import Scope
from runstead.platform.http import request_id_of

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
#: What only the server may say: framing belongs to it.
_OURS: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "trailer", "te"}
)
#: Request headers that carry the server's own credentials: no script sees them.
_CREDENTIALS: Final = frozenset({"authorization", "x-admin-token", "x-master-password", "cookie"})


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, checked, and what was wrong with it but could be mended."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    warnings: tuple[str, ...] = ()


def request_of(scope: Scope, params: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """What a handler gets. A body that is not UTF-8 comes as ``bodyBase64``."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name not in _CREDENTIALS:
            value = raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
    try:
        carried: dict[str, Any] = {"body": body.decode()}
    except UnicodeDecodeError:
        carried = {"body": None, "bodyBase64": base64.b64encode(body).decode()}
    client = scope.get("client")
    return {
        "method": scope["method"],
        "path": scope["path"],
        "httpVersion": scope.get("http_version", "1.1"),
        "headers": headers,
        "query": query,
        "params": dict(params),
        "ip": client[0] if client else None,
        "requestId": request_id_of(scope),
        **carried,
    }


def reply_of(value: Any, *, strict: bool, body_bytes_max: int) -> Reply:
    """Check what came back.

    :param strict: a mistake is an error instead of a warning.
    :raises AppResponseError: it cannot be sent; the message suggests what to return instead.
    """
    if not isinstance(value, dict):
        raise AppResponseError("the handler did not return a response")
    warnings: list[str] = []
    status = value.get("status")
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise AppResponseError(
            f"the status {status!r} is none that can be sent; use 200 to 599, such as 200, 404 or 500"
        )
    body = _body(value)
    if len(body) > body_bytes_max:
        raise AppResponseError(
            f"the response has {len(body)} bytes; {body_bytes_max} are allowed (apps.response_max_bytes)"
        )
    headers = _headers(value.get("headers") or [], warnings)
    if body and not any(name == b"content-type" for name, _ in headers):
        warnings.append("the response has a body and no Content-Type; text/plain was set: say which it is")
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
    if status in (204, 304) and body:
        warnings.append(f"a response with status {status} has no body; the body was dropped")
        body = b""
    if strict and warnings:
        raise AppResponseError(warnings[0])
    if status not in (204, 304):
        headers.append((b"content-length", str(len(body)).encode()))
    return Reply(status, tuple(headers), body, tuple(warnings))


def _body(value: Mapping[str, Any]) -> bytes:
    if isinstance(encoded := value.get("bodyBase64"), str):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise AppResponseError("bodyBase64 is not base64") from None
    body = value.get("body")
    return b"" if body is None else str(body).encode("utf-8", "replace")


def _headers(pairs: Any, warnings: list[str]) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    for pair in pairs if isinstance(pairs, list) else ():
        name, value = (str(part) for part in pair) if isinstance(pair, list) and len(pair) == 2 else ("", "")
        if not _TOKEN.fullmatch(name):
            raise AppResponseError(f"{name[:64]!r} is no name of a header")
        if re.search(r"[\r\n\x00]", value):
            raise AppResponseError(f"the header {name} holds a line break; take it out, or encode it")
        if name.lower() in _OURS:
            warnings.append(f"the header {name} is set by the server; it was dropped")
            continue
        headers.append((name.lower().encode(), value.encode("latin-1", "replace")))
    return headers
