"""``.env`` files: ``NAME=value`` lines, with quotes, comments and an optional ``export``. Nothing is expanded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_HEAD: Final = re.compile(r"[ \t]*(?:export[ \t]+)?")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EQUALS: Final = re.compile(r"[ \t]*=[ \t]*")
_SINGLE: Final = re.compile(r"'([^']*)'")
_DOUBLE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
#: A hash begins a comment only after white space, so that values may hold one.
_PLAIN: Final = re.compile(r"(?:(?![ \t]+#)[^\n\r])*")
_REST: Final = re.compile(r"[ \t]*(?:#[^\n]*)?\r?(?:\n|$)")
_LINE: Final = re.compile(r"[^\n]*\n?")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Assignment:
    """One variable, with the place of its name. A ``fault`` says what is wrong with the line instead."""

    name: str
    value: str
    line: int
    column: int
    fault: str = ""


def parse_dotenv(text: str) -> Iterator[Assignment]:
    """Read all assignments; a line that is none comes with a ``fault``, and reading goes on with the next.

    Within single quotes everything stands for itself, lines included; within double quotes ``\\n \\r \\t \\" \\\\`` are escapes.
    """
    at, line = 0, 1
    while at < len(text):
        end, found = _read_one(text, at, line)
        if found is not None:
            yield found
        line += text.count("\n", at, end)
        at = end


def _read_one(text: str, start: int, line: int) -> tuple[int, Assignment | None]:
    """The assignment that begins at the start of a line; None for a blank line. Returns the start of the next line."""
    blank = _REST.match(text, start)
    if blank:
        return max(blank.end(), start + 1), None
    head = _HEAD.match(text, start)
    at = head.end() if head else start
    name = _NAME.match(text, at)
    if name is None:
        return _skip_line(text, at), Assignment(
            "", "", line, at - start + 1, "found no name, allowed: NAME=value"
        )
    place = (line, at - start + 1)
    equals = _EQUALS.match(text, name.end())
    if equals is None:
        fault = "found no =, allowed: NAME=value"
        return _skip_line(text, at), Assignment(name.group(), "", *place, fault)
    end, value = _read_value(text, equals.end())
    rest = _REST.match(text, end) if value is not None else None
    if value is None or rest is None:
        fault = "found a quote that is not closed" if value is None else "found text behind the closing quote"
        return _skip_line(text, at), Assignment(name.group(), "", *place, fault)
    return max(rest.end(), end), Assignment(name.group(), value, *place)


def _skip_line(text: str, at: int) -> int:
    match = _LINE.match(text, at)
    return max(match.end() if match else at, at + 1)


def _read_value(text: str, at: int) -> tuple[int, str | None]:
    opening = text[at : at + 1]
    if opening == "'":
        match = _SINGLE.match(text, at)
        return (match.end(), match.group(1)) if match else (at, None)
    if opening == '"':
        match = _DOUBLE.match(text, at)
        return (match.end(), _ESCAPE.sub(_unescape, match.group(1))) if match else (at, None)
    match = _PLAIN.match(text, at)
    end = match.end() if match else at
    value = text[at:end]
    # "NAME= # comment": the white space before the hash was taken by the equals sign.
    return (at, "") if value.startswith("#") else (end, value.rstrip())


def _unescape(match: re.Match[str]) -> str:
    char = match.group(1)
    return _ESCAPED.get(char, char if char in '"\\$`' else match.group())
