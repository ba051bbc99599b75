"""Keeping SQLite's search index close behind the events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from runstead.capabilities.logs.store import EventStore
from runstead.kernel.background import background

#: Events that are indexed in one transaction while nothing has piled up: a few milliseconds in which no batch is
#: stored.
CHUNK_ROWS: Final = 50
#: And when much has: many at once are cheaper, and it must not grow without end.
CHUNK_ROWS_MAX: Final = 2000
#: From here on the chunks grow with what is left.
BACKLOG_ROWS: Final = 20_000

#: Seconds that a search waits for the events that were stored before it.
CATCH_UP_SECONDS_MAX: Final = 2.0

#: Seconds after a failure.
_RETRY_SECONDS: Final = 1.0

_log = structlog.get_logger("logs")


class Indexer:
    """Adds events to the search index a moment after they were stored.

    Guarantee: an event that was acknowledged is found by every search that begins later, for a search waits until the
    index has come that far (CATCH_UP_SECONDS_MAX; after that it answers with what is there). Failure: the place that
    the index has reached is stored with it in one transaction, so after a crash it goes on from there.
    Why not in the transaction of the batch: splitting text into words costs three times what storing it does, and
    whoever sends logs should not wait for those who may search them.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._stored = 0
        self._indexed = 0
        self._work = asyncio.Event()
        self._progress = asyncio.Condition()
        #: Events that were not searchable yet when last looked at.
        self.backlog = 0

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Run as long as the context is open."""
        if not self._store.has_own_index:
            yield
            return
        # What a crash has left.
        self.notify()
        async with background(self._run(), "logs-indexer"):
            yield

    def notify(self) -> None:
        """Events were stored."""
        self._stored += 1
        self._work.set()

    async def caught_up(self) -> bool:
        """Wait until what is stored now can be found; whether it can."""
        if not self._store.has_own_index:
            return True
        wanted = self._stored
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS_MAX), self._progress:
                await self._progress.wait_for(lambda: self._indexed >= wanted)
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._index_all()
            except Exception:  # noqa: BLE001 - the index must go on whatever happened
                _log.exception("the search index could not be brought up to date")
                await asyncio.sleep(_RETRY_SECONDS)
                self._work.set()

    async def _index_all(self) -> None:
        rows = CHUNK_ROWS
        while True:
            stored = self._stored
            progress = await self._store.index_more(rows)
            self.backlog = progress.left
            if progress.left == 0:
                self._indexed = stored
                async with self._progress:
                    self._progress.notify_all()
                return
            rows = CHUNK_ROWS if progress.left < BACKLOG_ROWS else min(rows * 2, CHUNK_ROWS_MAX)
