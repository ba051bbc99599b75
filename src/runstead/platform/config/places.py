"""Offsets in a text as people and editors count them: line and column, both from 1, lines ending at ``\\n`` and nothing else."""

from __future__ import annotations

from bisect import bisect_right


class Places:
    """Turns offsets of one text into places."""

    def __init__(self, text: str) -> None:
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def at(self, offset: int) -> tuple[int, int]:
        """Line and column of a character; of the end of the text for its length."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1
