"""Source maps, revision 3 (ECMA-426): from a place in the output to the place in the source."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from typing import Final

_BASE64: Final = {
    letter: value
    for value, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}


class SourceMap:
    """Of one source."""

    def __init__(self, mappings: str) -> None:
        """:param mappings: the field of that name.

        :raises ValueError: it is malformed.
        """
        #: Of each line of the output: ``(column, line, column in the source)``, all from zero, by column.
        self._lines: list[list[tuple[int, int, int]]] = []
        line = column = 0
        for text in mappings.split(";"):
            out, places = 0, []
            for segment in text.split(",") if text else ():
                fields = list(_numbers(segment))
                out += fields[0]
                if len(fields) >= 4:
                    line, column = line + fields[2], column + fields[3]
                    places.append((out, line, column))
            self._lines.append(places)

    def original(self, line: int, column: int) -> tuple[int, int] | None:
        """Line and column, both from one; None where the output has nothing of the source."""
        if not 0 < line <= len(self._lines):
            return None
        places: Sequence[tuple[int, int, int]] = self._lines[line - 1]
        at = bisect.bisect_right(places, (column - 1, 1 << 60, 0)) - 1
        if at < 0:
            return (places[0][1] + 1, places[0][2] + 1) if places else None
        return places[at][1] + 1, places[at][2] + 1


def _numbers(segment: str) -> Iterator[int]:
    """Base64 VLQ: five bits a letter, the lowest first; the lowest bit of all is the sign."""
    value = shift = 0
    for letter in segment:
        if letter not in _BASE64:
            raise ValueError(f"{letter!r} is no letter of a source map")
        digit = _BASE64[letter]
        value |= (digit & 31) << shift
        if digit & 32:
            shift += 5
        else:
            yield -(value >> 1) if value & 1 else value >> 1
            value = shift = 0
