"""From an HTTP request to what a program reads on stdin. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from runstead.kernel.errors import BadRequestError
from runstead.kernel.limits import MIB

#: A larger body is refused with 413.
BODY_BYTES_MAX = 1 * MIB
#: Keys of a query string; more is refused, since parsing is quadratic in some clients' hands.
QUERY_FIELDS_MAX = 1000

_AT = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")


class CallRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a call. Both are optional, nothing else is allowed."""

    entry_ids: list[str] = []
    params: dict[str, Any] = {}


_decode_body = msgspec.json.Decoder(CallRequest).decode


def refuse(field: str, message: str) -> BadRequestError:
    """A 400 that names the field."""
    return BadRequestError(f"{field}: {message}", details={"field": field})


def parse_body(body: bytes, content_type: str) -> CallRequest:
    """Read the body of a call; an empty one is a call without parameters.

    A content type is required with a body: without it, a page of any other site could call (a "simple" cross-site request).

    :raises BadRequestError: naming the field.
    """
    if not body:
        return CallRequest()
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise refuse("Content-Type", f"found {media_type or 'none'}, allowed: application/json")
    try:
        return _decode_body(body)
    except msgspec.ValidationError as error:
        message, field = str(error), "body"
        if where := _AT.search(message):
            message, field = message[: where.start()], where[1] or "body"
        elif unknown := re.search(r"unknown field `(.*)`$", message):
            field = unknown[1]
        raise refuse(field, message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refuse("body", f"not JSON: {error}") from error
    except RecursionError as error:
        raise refuse("body", "nested too deeply") from error


def parse_query(query: bytes) -> dict[str, str | list[str]]:
    """Read a query string; a repeated key becomes a list, in the order of the request.

    :raises BadRequestError: when it is not UTF-8 or has too many fields.
    """
    if not query:
        return {}
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX
        )
    except UnicodeError as error:
        raise refuse("query", "not percent-encoded UTF-8") from error
    except ValueError as error:
        raise refuse("query", f"more than {QUERY_FIELDS_MAX} fields") from error
    merged: dict[str, str | list[str]] = {}
    for key, value in pairs:
        held = merged.get(key)
        if held is None:
            merged[key] = value
        elif isinstance(held, list):
            held.append(value)
        else:
            merged[key] = [held, value]
    return merged


def merge_params(
    query: Mapping[str, Any], path: Mapping[str, str], body: Mapping[str, Any]
) -> dict[str, Any]:
    """One object of all parameters: the body wins over the path, the path over the query."""
    return {**query, **path, **body}
