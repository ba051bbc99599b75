"""The lines of a run, for who follows it while it goes on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from runstead.kernel.clock import rfc3339

#: Lines that are kept for those who come later; all of them are in the run's folder when it has ended.
LINES_KEPT: Final = 1000


class ToldLines:
    """A ring. Who is slow misses lines, which the numbers show, and holds nobody up."""

    def __init__(self) -> None:
        self._lines: deque[dict[str, Any]] = deque(maxlen=LINES_KEPT)
        self._count = 0
        self._changed = asyncio.Event()

    def add(self, level: str, text: str, at: datetime) -> None:
        self._count += 1
        self._lines.append({"number": self._count, "at": rfc3339(at), "level": level, "message": text})
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self, until: asyncio.Future[Any]) -> AsyncIterator[dict[str, Any]]:
        """The lines so far and those that come, until the run has ended."""
        seen = 0
        while True:
            changed = self._changed
            is_over = until.done()
            for line in [line for line in self._lines if line["number"] > seen]:
                yield line
                seen = line["number"]
            if is_over:
                return
            waiting = asyncio.ensure_future(changed.wait())
            try:
                await asyncio.wait({waiting, until}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
