"""JSON with positions (RFC 8259); a key that stands twice in one table is an error here."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # undocumented since ever, and there
from typing import Any, Final

from runstead.platform.config.keypath import KeyPath
from runstead.platform.config.places import Places

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_ATOM: Final = re.compile(r"[^\s,\]}]+")


class JsonSyntaxError(ValueError):
    """Not JSON."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class _RepeatedKeyError(ValueError):
    pass


def parse(text: str) -> Any:
    """Parse a document.

    :raises JsonSyntaxError: for anything that is not JSON, for NaN and infinities, for a repeated key.
    """
    try:
        return json.loads(text, object_pairs_hook=_table, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise JsonSyntaxError(error.msg, error.lineno, error.colno) from None
    except _RepeatedKeyError as error:
        walker = _Walker(text)
        walker.value((), 0)
        offset = walker.repeated.get(str(error), 0)
        raise JsonSyntaxError(
            f"the key {str(error)!r} stands twice in one table", *Places(text).at(offset)
        ) from None
    except ValueError as error:
        name = str(error)
        offset = max(text.find(name), 0)
        raise JsonSyntaxError(f"found {name}, allowed: a finite number", *Places(text).at(offset)) from None


def locate(text: str) -> dict[KeyPath, tuple[int, int]]:
    """Line and column of every key and every list item of a document that :func:`parse` took."""
    walker = _Walker(text)
    walker.value((), 0)
    places = Places(text)
    return {path: places.at(offset) for path, offset in walker.offsets.items()}


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RepeatedKeyError(key)
            seen.add(key)
    return table


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


class _Walker:
    """Goes through sound JSON and notes where things stand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.offsets: dict[KeyPath, int] = {}
        #: The second place of a key that stands twice in one table.
        self.repeated: dict[str, int] = {}

    def value(self, path: KeyPath, at: int) -> int:
        """Walk the value that begins at ``at`` or after white space; returns the offset behind it."""
        at = self._skip(at)
        opening = self._text[at : at + 1]
        if opening == "{":
            return self._table(path, at + 1)
        if opening == "[":
            return self._list(path, at + 1)
        if opening == '"':
            return int(scanstring(self._text, at + 1)[1])
        match = _ATOM.match(self._text, at)
        return match.end() if match else len(self._text)

    def _skip(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _table(self, path: KeyPath, at: int) -> int:
        at = self._skip(at)
        while self._text[at : at + 1] == '"':
            key, behind = scanstring(self._text, at + 1)
            if (*path, key) in self.offsets:
                self.repeated.setdefault(key, at)
            self.offsets[(*path, key)] = at
            at = self._separator(self.value((*path, key), self._skip(behind) + 1))
        return at + 1

    def _list(self, path: KeyPath, at: int) -> int:
        at, index = self._skip(at), 0
        while at < len(self._text) and self._text[at] != "]":
            self.offsets[(*path, index)] = at
            at = self._separator(self.value((*path, index), at))
            index += 1
        return at + 1

    def _separator(self, at: int) -> int:
        at = self._skip(at)
        return self._skip(at + 1) if self._text[at : at + 1] == "," else at
