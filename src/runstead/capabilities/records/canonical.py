"""Canonical JSON: the one way to write a value, so that equal content has equal bytes (RFC 8785, JCS). Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final

#: Levels of objects and arrays. Far more than people nest, far less than would exhaust the stack.
DEPTH_MAX: Final = 100

#: Beyond this a double no longer holds every integer, so two readers could see two numbers (RFC 7493 section 2.2).
INTEGER_MAX: Final = 2**53 - 1

#: Problems that one answer names; more of them help nobody.
PROBLEMS_MAX: Final = 20

_PATH_CHARS_MAX: Final = 200
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")

# Agrees with RFC 8785 on everything but floats and keys beyond the Basic Multilingual Plane, and runs in C.
_encode_plain = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


class NotCanonicalError(ValueError):
    """The value has no canonical form. ``problems`` are pairs of a path and what is wrong there."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))


def canonical_json(value: Any, path: str = "") -> bytes:
    """The canonical form of a JSON value as UTF-8.

    :param path: where the value stands, for the messages.
    :raises NotCanonicalError: for what JSON cannot hold exactly: NaN, infinities, integers beyond ±(2^53 - 1), half of a
        surrogate pair, keys that are no text, other types, or more than :data:`DEPTH_MAX` levels.
    """
    try:
        text = _encode_plain(value) if _survey(value) else None
        if text is None or (not text.isascii() and _ASTRAL.search(text)):
            parts: list[str] = []
            _write(value, parts.append)
            text = "".join(parts)
        return text.encode()
    except (_UnfitError, UnicodeEncodeError):
        raise NotCanonicalError(_problems(value, path)) from None


class _UnfitError(Exception):
    """There is something without a canonical form in there; :func:`_problems` says what."""


def _survey(value: Any) -> bool:
    """Whether the value is free of floats. Level by level rather than recursive, so that depth cannot hurt.

    :raises _UnfitError: when there is no canonical form. Broken text is left to the encoder.
    """
    plain = True
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str or kind is bool or item is None:
                continue
            if kind is dict:
                if not all(type(key) is str for key in item):
                    raise _UnfitError
                below += item.values()
            elif kind is list:
                below += item
            elif kind is int:
                if not -INTEGER_MAX <= item <= INTEGER_MAX:
                    raise _UnfitError
            elif kind is float and math.isfinite(item):
                plain = False
            else:
                raise _UnfitError
        if not below:
            return plain
        level = below
    raise _UnfitError


def _write(value: Any, write: Any) -> None:
    kind = type(value)
    if kind is str:
        write(encode_basestring(value))
    elif kind is dict:
        separator = "{"
        for key in sorted(value, key=_utf16):
            write(f"{separator}{encode_basestring(key)}:")
            _write(value[key], write)
            separator = ","
        write("}" if value else "{}")
    elif kind is list:
        separator = "["
        for item in value:
            write(separator)
            _write(item, write)
            separator = ","
        write("]" if value else "[]")
    elif kind is float:
        write(ecmascript_number(value))
    else:
        write(
            "null"
            if value is None
            else "true"
            if value is True
            else "false"
            if value is False
            else repr(value)
        )


def _utf16(key: str) -> bytes:
    """Keys are ordered by their UTF-16 code units (RFC 8785 section 3.2.3)."""
    return key.encode("utf-16-be", "surrogatepass")


def ecmascript_number(number: float) -> str:
    """A finite double as ECMAScript writes it (ECMA-262, Number::toString).

    Python's ``repr`` finds the same shortest digits; only their layout differs.
    """
    text = repr(number)
    if "e" not in text:
        return "0" if number == 0 else text.removesuffix(".0")
    sign, digit_tuple, exponent = Decimal(text).normalize().as_tuple()
    digits = "".join(map(str, digit_tuple))
    point = len(digits) + int(exponent)
    minus = "-" if sign else ""
    if len(digits) <= point <= 21:
        return minus + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{fraction}e{point - 1:+d}"


def _problems(value: Any, path: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for at, item, depth in _walk(value, path):
        message = _problem(item, depth)
        if message is not None:
            found.append((at[:_PATH_CHARS_MAX], message))
            if len(found) == PROBLEMS_MAX:
                break
    return found


def _problem(item: Any, depth: int) -> str | None:
    kind = type(item)
    if kind is int and not -INTEGER_MAX <= item <= INTEGER_MAX:
        return f"found an integer beyond ±{INTEGER_MAX}, which JSON readers round; send it as text"
    if kind is float and not math.isfinite(item):
        return f"found {item}, allowed: a number that a double holds"
    if kind is str and _is_broken(item):
        return "found half of a surrogate pair, allowed: Unicode text"
    if kind in (dict, list) and depth == DEPTH_MAX:
        return f"found more than {DEPTH_MAX} levels of nesting"
    if kind is dict:
        if not all(type(key) is str for key in item):
            return "found a key that is no text"
        if any(_is_broken(key) for key in item):
            return "found half of a surrogate pair in a key, allowed: Unicode text"
    if kind not in (dict, list, int, float, str, bool, type(None)):
        return f"found a {kind.__name__}, allowed: a JSON value"
    return None


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any, int]]:
    """Everything in the value in the order of the text, with its path and depth; nothing below :data:`DEPTH_MAX`."""
    waiting = [(path, value, 0)]
    while waiting:
        at, item, depth = waiting.pop()
        yield at, item, depth
        if depth == DEPTH_MAX:
            continue
        if type(item) is dict:
            below = [(_join(at, key), item[key], depth + 1) for key in item]
        elif type(item) is list:
            below = [(f"{at}[{index}]", one, depth + 1) for index, one in enumerate(item)]
        else:
            continue
        waiting.extend(reversed(below))


def _join(path: str, key: object) -> str:
    if isinstance(key, str) and _KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(str(key)[:_PATH_CHARS_MAX])}]"
