"""The newest lines, in memory."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable
from typing import Final

from runstead.capabilities.jobs.output.lines import Line
from runstead.kernel.limits import KIB, MIB

#: Lines that are kept in memory, and their bytes together: whatever comes first.
RING_LINES_MAX: Final = 10_000
RING_BYTES_MAX: Final = 16 * MIB
#: Lines that a watcher is handed at once, and their bytes together, about.
BATCH_LINES_MAX: Final = 500
BATCH_BYTES_MAX: Final = 256 * KIB


class Ring:
    """The newest lines, bounded in number and in bytes."""

    def __init__(self, lines_max: int = RING_LINES_MAX, bytes_max: int = RING_BYTES_MAX) -> None:
        self._lines: deque[Line] = deque()
        self._lines_max = lines_max
        self._bytes_max = bytes_max
        self._bytes = 0

    @property
    def first_seq(self) -> int | None:
        """The oldest that is kept."""
        return self._lines[0].seq if self._lines else None

    def add(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._lines.append(line)
            self._bytes += len(line.data)
        while len(self._lines) > self._lines_max or (self._bytes > self._bytes_max and len(self._lines) > 1):
            self._bytes -= len(self._lines.popleft().data)

    def since(self, seq: int, limit: int = BATCH_LINES_MAX) -> list[Line]:
        """At most ``limit`` lines from ``seq`` on, or from the oldest where that is newer."""
        found = self._since(seq, limit)
        total = 0
        for number, line in enumerate(found, start=1):
            total += len(line.data)
            if total >= BATCH_BYTES_MAX:
                return found[:number]
        return found

    def _since(self, seq: int, limit: int) -> list[Line]:
        if not self._lines:
            return []
        start = max(0, seq - self._lines[0].seq)
        if start > len(self._lines) // 2:
            # A deque is slow in its middle: from the near end.
            newest = itertools.islice(reversed(self._lines), max(0, len(self._lines) - start))
            return list(newest)[::-1][:limit]
        return list(itertools.islice(self._lines, start, start + limit))
