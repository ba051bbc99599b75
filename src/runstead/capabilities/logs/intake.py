"""The server's own sources: apps, endpoints and jobs hand over lines and go on."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from runstead.capabilities.logs import fingerprint
from runstead.capabilities.logs.figures import Figures
from runstead.capabilities.logs.indexing import Indexer
from runstead.capabilities.logs.model import (
    BATCH_EVENTS_MAX,
    CONTEXT_BYTES_MAX,
    ENV_DEFAULT,
    MESSAGE_CHARS_MAX,
    MESSAGE_REST,
    OWN_PROJECT,
    REQUEST_ID_CHARS_MAX,
    SOURCE_CHARS_MAX,
    Level,
    NewEvent,
    level_of,
    microseconds,
)
from runstead.capabilities.logs.projects import Projects
from runstead.capabilities.logs.store import EventStore
from runstead.kernel.clock import Clock
from runstead.kernel.ids import new_id
from runstead.kernel.limits import KIB

#: Events that may wait. A program that writes faster than the disk takes loses lines, not the server its memory.
QUEUE_EVENTS_MAX: Final = 10_000

#: Characters of one line that are kept.
LINE_CHARS_MAX: Final = 32 * KIB

#: Seconds that the first event of a batch waits for company.
BATCH_SECONDS: Final = 0.05

#: Seconds between two attempts to store a batch.
RETRY_SECONDS: Final = 1.0

#: Seconds that closing spends on what still waits.
CLOSE_SECONDS_MAX: Final = 5.0

_encode = msgspec.json.Encoder(enc_hook=str).encode
_log = structlog.get_logger("logs")


@dataclass(frozen=True, slots=True)
class _Line:
    """What was handed over. The context is JSON already, for its owner may go on changing it."""

    source: str
    level: Level
    message: str
    #: Microseconds since 1970.
    ts: int
    request_id: str
    context: bytes


class Intake:
    """A queue that takes anything, at once, from any thread, and is stored in batches under the project ``runstead``.

    Guarantee: :meth:`emit` never blocks and never raises; what it took is stored within BATCH_SECONDS and the time of
    a commit, in order. Failure: when the database refuses, the batch is tried again until it is taken; meanwhile the
    queue fills, and what does not fit is dropped and counted. The count is stored as one event as soon as something
    can be. A kill loses what is in the queue.
    """

    def __init__(
        self,
        *,
        projects: Projects,
        store: EventStore,
        indexer: Indexer,
        figures: Figures,
        clock: Clock,
        stored: Callable[[], None],
    ) -> None:
        """Prepare; nothing is stored before :meth:`opened`.

        :param stored: called after every stored batch.
        """
        self._projects = projects
        self._store = store
        self._indexer = indexer
        self._figures = figures
        self._clock = clock
        self._stored = stored
        self._queue: deque[_Line] = deque()
        self._lock = threading.Lock()
        self._dropped = 0
        self._work = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Why the last attempt to store failed; empty when it did not.
        self.last_error = ""

    @property
    def queued(self) -> int:
        """Events that wait."""
        return len(self._queue)

    def emit(
        self,
        *,
        source: str,
        level: str,
        message: str,
        at: datetime,
        request_id: str = "",
        context: Mapping[str, Any] | None = None,
    ) -> None:
        """Take one line. Never blocks, never raises."""
        try:
            line = self._line(source, level, message, at, request_id, context)
        except Exception as error:  # noqa: BLE001 - whoever logs must not fail by it
            _log.warning("a log event could not be taken", source=str(source), cause=type(error).__name__)
            with self._lock:
                self._dropped += 1
            return
        with self._lock:
            if len(self._queue) >= QUEUE_EVENTS_MAX:
                self._dropped += 1
                return
            self._queue.append(line)
            waiting = len(self._queue)
        if waiting == 1 or waiting == BATCH_EVENTS_MAX:
            self._wake()

    @staticmethod
    def _line(
        source: str,
        level: str,
        message: str,
        at: datetime,
        request_id: str,
        context: Mapping[str, Any] | None,
    ) -> _Line:
        return _Line(
            _kept(source, SOURCE_CHARS_MAX) or OWN_PROJECT,
            level_of(level),
            _kept(message, LINE_CHARS_MAX),
            microseconds(at),
            _kept(request_id, REQUEST_ID_CHARS_MAX),
            _encode(context) if context else b"{}",
        )

    def _wake(self) -> None:
        loop = self._loop
        if loop is None:
            return
        # The loop is closed: whoever still emits does so for nobody.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        if self._queue:
            self._work.set()
        if len(self._queue) >= BATCH_EVENTS_MAX:
            self._full.set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Store what is emitted as long as the context is open, and then what is left."""
        self._loop = asyncio.get_running_loop()
        self._look()
        task = asyncio.create_task(self._run(), name="logs-intake")
        try:
            yield
        finally:
            self._closing = True
            self._work.set()
            self._full.set()
            _, late = await asyncio.wait({task}, timeout=CLOSE_SECONDS_MAX)
            if late:
                _log.error("log events were lost at the end", events=len(self._queue), error=self.last_error)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._loop = None

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            if not self._closing and len(self._queue) < BATCH_EVENTS_MAX:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BATCH_SECONDS):
                        await self._full.wait()
            lines, dropped = self._take()
            if lines or dropped:
                await self._keep(lines, dropped)
            elif self._closing:
                return

    def _take(self) -> tuple[list[_Line], int]:
        with self._lock:
            count = min(len(self._queue), BATCH_EVENTS_MAX)
            lines = [self._queue.popleft() for _ in range(count)]
            dropped, self._dropped = self._dropped, 0
            if not self._queue and not self._closing:
                self._work.clear()
            if len(self._queue) < BATCH_EVENTS_MAX and not self._closing:
                self._full.clear()
        return lines, dropped

    async def _keep(self, lines: list[_Line], dropped: int) -> None:
        """Store a batch, however often it takes."""
        now = microseconds(self._clock.now())
        events = [_event(line) for line in lines]
        if dropped:
            self._figures.own_dropped(dropped)
            events.append(_event(self._report(dropped)))
        while True:
            try:
                project = await self._projects.own()
                await self._store.add(project.id, events, created_at=now)
                break
            except Exception as error:  # noqa: BLE001 - it is tried again, whatever it was
                self.last_error = f"{type(error).__name__}: {error}"
                _log.warning("log events could not be stored yet", events=len(events), exc_info=error)
            await asyncio.sleep(RETRY_SECONDS)
        self.last_error = ""
        self._figures.own_stored(len(events))
        self._indexer.notify()
        self._stored()

    def _report(self, dropped: int) -> _Line:
        message = f"{dropped} log events were dropped: more came than could be stored"
        context = _encode({"dropped": dropped, "queue_events_max": QUEUE_EVENTS_MAX})
        return _Line(OWN_PROJECT, Level.WARN, message, microseconds(self._clock.now()), "", context)


def _event(line: _Line) -> NewEvent:
    context = line.context if len(line.context) <= CONTEXT_BYTES_MAX else b'{"context_too_large":true}'
    if len(line.message) > MESSAGE_CHARS_MAX:
        comma = b"" if context == b"{}" else b","
        rest = _encode(line.message[MESSAGE_CHARS_MAX:])
        context = b'%s%s"%s":%s}' % (context[:-1], comma, MESSAGE_REST.encode(), rest)
    return NewEvent(
        id=new_id(),
        ts=line.ts,
        level=line.level,
        message=line.message[:MESSAGE_CHARS_MAX],
        source=line.source,
        env=ENV_DEFAULT,
        context=context.decode(),
        fingerprint=fingerprint.fingerprint(line.message, line.source, ""),
        group=fingerprint.group(line.message),
        request_id=line.request_id,
        user_id="",
        tags="",
    )


def _kept(text: str, chars_max: int) -> str:
    """What can be stored of a text: programs write what they like, also NULs and halves of surrogate pairs."""
    clean = text[:chars_max].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return clean if clean.isascii() else clean.encode("utf-8", "replace").decode()
