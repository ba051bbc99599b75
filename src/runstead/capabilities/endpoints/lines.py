"""From the bytes that a program writes to stderr to lines with a level. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runstead.kernel.limits import KIB

#: A longer line is cut; the log store keeps less of a message anyway.
LINE_BYTES_MAX = 16 * KIB

_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "notice": "info",
    "warn": "warn",
    "warning": "warn",
    "error": "error",
    "critical": "fatal",
    "fatal": "fatal",
}
_WORDS = "|".join(_LEVELS)
#: `ERROR text`, `Error: text`, `[error] text`, `<error> text`; a lower-case word without punctuation is just a word.
_PREFIX = re.compile(rf"[\[<(]({_WORDS})[\]>)]|({_WORDS})\s?[:|]|({_WORDS.upper()})\b", re.IGNORECASE)


def level_of(line: str, default: str = "info") -> str:
    """The level that a line claims by its first word."""
    found = _PREFIX.match(line.lstrip())
    if not found:
        return default
    bare = found[3]
    if bare and not bare.isupper():
        return default
    return _LEVELS[(found[1] or found[2] or bare).lower()]


class LineSplitter:
    """Cuts a stream of bytes into lines, whatever the chunks. Bounded: of an over-long line the rest is dropped."""

    def __init__(self, longest: int = LINE_BYTES_MAX) -> None:
        self._longest = longest
        self._partial = bytearray()
        self._dropped = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk completes, without their ends."""
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            self._keep(piece)
            yield self._take()
        self._keep(rest)

    def close(self) -> Iterator[bytes]:
        """The last line, when it has no end."""
        if self._partial:
            yield self._take()

    def _keep(self, piece: bytes) -> None:
        room = self._longest - len(self._partial)
        self._partial += piece[:room]
        self._dropped += max(0, len(piece) - room)

    def _take(self) -> bytes:
        line = bytes(self._partial).removesuffix(b"\r")
        if self._dropped:
            line += f" … [{self._dropped} bytes more]".encode()
        self._partial.clear()
        self._dropped = 0
        return line
