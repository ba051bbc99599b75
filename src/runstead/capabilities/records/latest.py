"""``latest.json``: a copy of the newest entry, for whoever reads the store without this server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog

from runstead.capabilities.records.index import Index
from runstead.capabilities.records.keys import Layout
from runstead.capabilities.records.model import Scope
from runstead.kernel.background import background
from runstead.kernel.clock import Clock
from runstead.kernel.errors import RunsteadError
from runstead.platform.storage.objects import Objects

#: Seconds between two rounds: many records of one service cost one write.
DELAY_SECONDS: Final = 1.0

#: Services that wait for their turn. One more is left out; its next record brings it back.
WAITING_MAX: Final = 10_000

_log = structlog.get_logger("records")


class LatestPointers:
    """Writes the pointers of services that have new records, a moment later and all at once.

    This server itself asks the index, so that a pointer may be behind: by a second, or after a crash until the service's
    next record or ``reindex``. What is written is what the index says at that time, so that several servers write the
    same; their race can leave the older of two for a moment, never for longer than the next record.
    """

    def __init__(self, objects: Objects, layout: Layout, index: Index, clock: Clock) -> None:
        self._objects = objects
        self._layout = layout
        self._index = index
        self._clock = clock
        self._waiting: dict[Scope, None] = {}
        self._marked = asyncio.Event()
        self._flushing = asyncio.Lock()

    def mark(self, scope: Scope) -> None:
        """This service has a new record."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting[scope] = None
            self._marked.set()

    async def flush(self) -> None:
        """Write what waits. One at a time: what is read first must be written first."""
        async with self._flushing:
            while self._waiting:
                scope, _ = self._waiting.popitem()
                try:
                    await self._point(scope)
                except BaseException:
                    self._waiting[scope] = None
                    raise

    async def _point(self, scope: Scope) -> None:
        entry = await self._index.newest(scope)
        if entry is not None:
            await self._objects.replace(self._layout.latest(scope), msgspec.json.encode(entry))

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Write in the background, and the rest at the end."""
        try:
            async with background(self._write(), "records-latest"):
                yield
        finally:
            await self._try_flush()

    async def _write(self) -> None:
        while True:
            await self._marked.wait()
            await self._clock.sleep(DELAY_SECONDS)
            self._marked.clear()
            if not await self._try_flush():
                self._marked.set()

    async def _try_flush(self) -> bool:
        try:
            await self.flush()
        except RunsteadError as error:
            _log.warning("latest.json not written", waiting=len(self._waiting), reason=error.message)
            return False
        return True
