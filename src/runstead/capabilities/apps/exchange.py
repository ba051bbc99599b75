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
from runstead.capabilities.apps.uploads import Form, described
from runstead.kernel.capability import Scope
from runstead.kernel.limits import KIB
from runstead.platform.http import actor_of, request_id_of

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_LINE_BREAK: Final = re.compile(r"[\r\n\x00]")
#: What only the server may say: framing belongs to it.
_OURS: Final = frozenset(
    {"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "trailer", "te"}
)
#: The server's own credentials: no script ever sees them.
_CREDENTIALS: Final = frozenset({"x-admin-token", "x-master-password"})
#: Response headers of one answer, and their bytes: what proxies and clients commonly take.
HEADERS_MAX: Final = 100
HEADERS_BYTES_MAX: Final = 32 * KIB
#: Fields of a query; more is an attempt to make us work.
QUERY_FIELDS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, checked, and what was wrong with it but could be mended."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    warnings: tuple[str, ...] = ()


def request_of(scope: Scope, params: Mapping[str, str], body: bytes | Form) -> dict[str, Any]:
    """What a handler gets. A body that is not UTF-8 goes as ``bodyBytes``; of a query field that comes twice, the last."""
    if isinstance(body, Form):
        carried: dict[str, Any] = {"body": "", "fields": body.fields, "files": described(body.uploads)}
    else:
        try:
            carried = {"body": body.decode()}
        except UnicodeDecodeError:
            carried = {"body": None, "bodyBytes": body}
    client = scope.get("client")
    query_string = scope.get("query_string", b"").decode("latin-1")
    return {
        "method": scope["method"],
        "path": scope["path"],
        "url": f"{scope['path']}?{query_string}" if query_string else scope["path"],
        "httpVersion": scope.get("http_version", "1.1"),
        "headers": _request_headers(scope),
        "query": _query(query_string),
        "params": dict(params),
        "ip": client[0] if client else None,
        "tenant": scope.get("state", {}).get("tenant"),
        "cspNonce": scope.get("state", {}).get("csp_nonce"),
        "requestId": request_id_of(scope),
        **carried,
    }


def _request_headers(scope: Scope) -> dict[str, str]:
    # Who has shown us a credential has shown it to us: the app gets none of those that it may have been.
    is_known = not actor_of(scope).is_anonymous
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in _CREDENTIALS or (is_known and name == "authorization"):
            continue
        value = raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


def _query(query_string: str) -> dict[str, str]:
    if not query_string:
        return {}
    fields = query_string.split("&", QUERY_FIELDS_MAX)[:QUERY_FIELDS_MAX]
    return dict(parse_qsl("&".join(fields), keep_blank_values=True, errors="replace"))


def checked_head(status: Any, headers: Any, *, strict: bool) -> tuple[int, list[tuple[bytes, bytes]]]:
    """The head of an answer whose body follows in pieces.

    :raises AppResponseError: it cannot be sent.
    """
    warnings: list[str] = []
    status, pairs = _status(status), _headers(headers, warnings)
    if strict and warnings:
        raise AppResponseError(warnings[0])
    if not any(name == b"content-type" for name, _ in pairs):
        pairs.append((b"content-type", b"text/plain; charset=utf-8"))
    return status, pairs


def _status(status: Any) -> int:
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise AppResponseError(
            f"the status {str(status)[:64]!r} is none that can be sent; use 200 to 599, such as 200, 404 or 500"
        )
    return status


def reply_of(value: Any, *, strict: bool, body_bytes_max: int) -> Reply:
    """Check what came back.

    :param strict: a mistake is an error instead of a warning.
    :raises AppResponseError: it cannot be sent; the message suggests what to return instead.
    """
    if not isinstance(value, dict):
        raise AppResponseError("the handler did not return a response")
    warnings: list[str] = []
    status = _status(value.get("status"))
    body = _body(value)
    if len(body) > body_bytes_max:
        raise AppResponseError(
            f"the response has {len(body)} bytes; {body_bytes_max} are allowed (apps.response_max_bytes)"
        )
    headers = _headers(value.get("headers"), warnings)
    if body and status in (204, 304):
        warnings.append(f"a response with status {status} has no body; the body was dropped")
        body = b""
    if body and not any(name == b"content-type" for name, _ in headers):
        warnings.append("the response has a body but no Content-Type; text/plain was set: say which it is")
        headers.append((b"content-type", b"text/plain; charset=utf-8"))
    if strict and warnings:
        raise AppResponseError(warnings[0])
    if status not in (204, 304):
        headers.append((b"content-length", str(len(body)).encode()))
    return Reply(status, tuple(headers), body, tuple(warnings))


def _body(value: Mapping[str, Any]) -> bytes:
    encoded = value.get("bodyBase64")
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise AppResponseError("bodyBase64 is not Base64") from None
    body = value.get("body")
    if isinstance(body, bytes):
        return body
    return b"" if body is None else str(body).encode("utf-8", "replace")


def _headers(pairs: Any, warnings: list[str]) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    if not isinstance(pairs, list) or len(pairs) > HEADERS_MAX:
        raise AppResponseError(f"the headers are no list, or more than {HEADERS_MAX}")
    for pair in pairs:
        name, value = pair if isinstance(pair, list) and len(pair) == 2 else ("", "")
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise AppResponseError(f"{str(name)[:64]!r} is no name of a header")
        value = str(value)
        if _LINE_BREAK.search(value):
            raise AppResponseError(f"the header {name} holds a line break; take it out, or encode it")
        if name.lower() in _OURS:
            warnings.append(f"the header {name} is set by the server; it was dropped")
            continue
        raw = value.encode("latin-1", "replace")
        if "?" not in value and b"?" in raw:
            warnings.append(f"the header {name} holds characters that no header can carry; encode them")
        headers.append((name.lower().encode(), raw))
    if sum(len(name) + len(value) for name, value in headers) > HEADERS_BYTES_MAX:
        raise AppResponseError(f"the headers have more than {HEADERS_BYTES_MAX} bytes")
    return headers
