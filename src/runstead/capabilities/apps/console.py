"""The last lines that each app has written, for who watches; the log store keeps them all."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec

from runstead.capabilities.apps.ports import LogSink
from runstead.kernel.clock import Clock, rfc3339
from runstead.platform.http import SseEvent

#: Lines of one app that are kept here; apps whose lines are; lines that wait for one who watches.
LINES_KEPT: Final = 500
APPS_KEPT: Final = 200
WAITING_MAX: Final = 1000
#: Characters of a source in the log store; the whole id is in the context.
_SOURCE_CHARS_MAX: Final = 64

Line = Mapping[str, Any]


class AppConsole:
    """Hands lines to the log store and to who watches. Never blocks a script."""

    def __init__(self, logs: LogSink, clock: Clock) -> None:
        self._logs = logs
        self._clock = clock
        self._last: OrderedDict[str, deque[Line]] = OrderedDict()
        self._watching: dict[str, set[asyncio.Queue[Line]]] = {}
        self._number = 0

    def write(self, app_id: str, level: str, text: str, *, request_id: str) -> None:
        """Take a line."""
        at = self._clock.now()
        self._logs.emit(
            source=f"app:{app_id}"[:_SOURCE_CHARS_MAX],
            level=level,
            message=text,
            at=at,
            request_id=request_id,
            context={"app": app_id},
        )
        self._number += 1
        line = {
            "number": self._number,
            "at": rfc3339(at),
            "level": level,
            "message": text,
            "request_id": request_id,
        }
        lines = self._last.setdefault(app_id, deque(maxlen=LINES_KEPT))
        self._last.move_to_end(app_id)
        if len(self._last) > APPS_KEPT:
            self._last.popitem(last=False)
        lines.append(line)
        for queue in self._watching.get(app_id, ()):
            if not queue.full():
                queue.put_nowait(line)

    def recent(self, app_id: str, request_id: str = "") -> list[Line]:
        """The last lines, the oldest first; of one request if it is named."""
        return [one for one in self._last.get(app_id, ()) if request_id in ("", one["request_id"])]

    async def follow(self, app_id: str, request_id: str = "") -> AsyncIterator[SseEvent]:
        """The last lines and then those that come."""
        queue: asyncio.Queue[Line] = asyncio.Queue(WAITING_MAX)
        watching = self._watching.setdefault(app_id, set())
        watching.add(queue)
        try:
            for line in self.recent(app_id, request_id):
                yield _event(line)
            while True:
                line = await queue.get()
                if request_id in ("", line["request_id"]):
                    yield _event(line)
        finally:
            watching.discard(queue)
            if not watching:
                self._watching.pop(app_id, None)


def _event(line: Line) -> SseEvent:
    return SseEvent(data=msgspec.json.encode(line).decode(), id=str(line["number"]), event="line")
