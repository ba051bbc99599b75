"""Where the keys of a TOML document stand. tomllib does not say, so this reads the text again after it was found sound."""

from __future__ import annotations

import contextlib
import re
import tomllib
from typing import Final

from runstead.platform.config.keypath import KeyPath
from runstead.platform.config.places import Places

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS: Final = (
    # The longest first: three quotes also begin with one. Up to two more quotes may stand before the closing three.
    re.compile(r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}', re.DOTALL),
    re.compile(r"'''(?:[^']|'{1,2}(?!'))*'{3,5}"),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)
#: Numbers, booleans, dates (which may hold one space).
_ATOM: Final = re.compile(r"[^,\]}#\n\r]+")


def locate(text: str) -> dict[KeyPath, tuple[int, int]]:
    """Line and column of every key, table header and list item of a document that tomllib took.

    A key stands where its own part begins: in ``a.b = 1`` the path ``("a", "b")`` is at the ``b``. A table that has several
    places (a header, then a dotted key) stands at the first.
    """
    scanner = _Scanner(text)
    scanner.document()
    places = Places(text)
    return {path: places.at(offset) for path, offset in scanner.offsets.items()}


def repeated_key(text: str, place: tuple[int, int]) -> tuple[KeyPath, tuple[int, int]] | None:
    """The key or header before a place where tomllib found something said twice. tomllib names neither it nor where it stands."""
    lines = text.split("\n")[: place[0]]
    if not lines[-1].lstrip().startswith("["):
        # Within an inline table others may follow; a header is needed whole.
        lines[-1] = lines[-1][: place[1] - 1]
    read = "\n".join(lines)
    scanner = _Scanner(read)
    # What follows is missing, so the scanner may run into the end.
    with contextlib.suppress(IndexError, ValueError):
        scanner.document()
    return None if scanner.latest is None else (scanner.latest[0], Places(text).at(scanner.latest[1]))


class _Scanner:
    """Goes through sound TOML and notes where things stand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.offsets: dict[KeyPath, int] = {}
        #: The path and place of the key or header that was read last.
        self.latest: tuple[KeyPath, int] | None = None
        #: Path of an array of tables → number of its headers so far.
        self._counts: dict[KeyPath, int] = {}

    def document(self) -> None:
        """Walk everything."""
        table: KeyPath = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._assignment(table)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()

    def _header(self) -> KeyPath:
        repeated = self._text.startswith("[[", self._at)
        start = self._at
        self._at += 2 if repeated else 1
        parts = self._key()
        self._at = self._text.index("]", self._at) + (2 if repeated else 1)
        path: KeyPath = ()
        for part, offset in parts[:-1]:
            path = self._current(path, part, offset)
        last, offset = parts[-1]
        path = (*path, last)
        self.latest = (path, start)
        self.offsets.setdefault(path, start)
        if repeated:
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            path = (*path, index)
            self.offsets[path] = start
        return path

    def _current(self, path: KeyPath, part: str, offset: int) -> KeyPath:
        """Step into a table named on the way: within an array of tables that is its latest."""
        path = (*path, part)
        self.offsets.setdefault(path, offset)
        count = self._counts.get(path)
        return path if count is None else (*path, count - 1)

    def _key(self) -> list[tuple[str, int]]:
        parts = []
        while True:
            self._skip(_SPACE)
            start = self._at
            if self._text[start] in "\"'":
                self._string()
                literal = self._text[start : self._at]
                name = next(iter(tomllib.loads(f"{literal} = 0")))
            else:
                self._skip(_BARE)
                name = self._text[start : self._at]
            parts.append((name, start))
            self._skip(_SPACE)
            if self._text[self._at : self._at + 1] != ".":
                return parts
            self._at += 1

    def _assignment(self, table: KeyPath) -> None:
        path = table
        parts = self._key()
        self.latest = ((*table, *(name for name, _ in parts)), parts[0][1])
        for name, offset in parts:
            path = (*path, name)
            self.offsets.setdefault(path, offset)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._at]
        if opening == "{":
            self._inline_table(path)
        elif opening == "[":
            self._list(path)
        elif opening in "\"'":
            self._string()
        else:
            self._skip(_ATOM)

    def _string(self) -> None:
        for pattern in _STRINGS:
            match = pattern.match(self._text, self._at)
            if match:
                self._at = match.end()
                return
        self._at = len(self._text)

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "}":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._assignment(path)

    def _list(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while True:
            self._skip(_BLANK)
            if self._text[self._at] == "]":
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self.offsets[(*path, index)] = self._at
            self._value((*path, index))
            index += 1
