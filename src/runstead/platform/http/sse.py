"""Server-Sent Events (html.spec.whatwg.org, section 9.2) over plain ASGI."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar.response import Response

from runstead.kernel.capability import Receive, Scope, Send
from runstead.platform.http.lifecycle import draining_event
from runstead.platform.http.responses import encode_headers

#: Seconds without an event before a comment is sent, so that proxies keep the connection and dead clients are noticed.
HEARTBEAT_SECONDS: Final = 15.0

_LINE_END: Final = re.compile("\r\n|\r|\n")
_KEEP_ALIVE: Final = b":\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SseEvent:
    """One event. ``data`` may have several lines; ``id`` is what the client sends back as ``Last-Event-ID``."""

    data: str
    event: str = ""
    id: str = ""
    retry_ms: int | None = None

    def encode(self) -> bytes:
        """The event on the wire.

        :raises ValueError: for a name or id with a line break, or an id with NUL: it would start a field of its own.
        """
        if _LINE_END.search(self.event) or _LINE_END.search(self.id) or "\0" in self.id:
            raise ValueError("a line break in the name or the id of an event")
        lines = []
        if self.event:
            lines.append(f"event: {self.event}")
        if self.id:
            lines.append(f"id: {self.id}")
        if self.retry_ms is not None:
            lines.append(f"retry: {self.retry_ms}")
        lines += [f"data: {line}" for line in _LINE_END.split(self.data)]
        return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


class EventStream(Response[Any]):
    """A stream of events: what a Litestar handler returns, and a plain ASGI application as well.

    Ends when the events end, the client goes away, or the server drains; the iterator is closed in each case, so that its
    ``finally`` is where a subscription is given up. The next event is asked for when the client has taken the last one:
    a slow client slows its own iterator and holds no queue here.
    """

    def __init__(
        self,
        events: AsyncIterator[SseEvent],
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(None, media_type="text/event-stream")
        self._events = events
        self._heartbeat_seconds = heartbeat_seconds
        self._raw_headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-cache, no-transform"),
            # nginx would otherwise hold events back until its buffer is full.
            (b"x-accel-buffering", b"no"),
            *encode_headers(headers or {}),
        ]

    def to_asgi_response(self, *_args: Any, **_options: Any) -> Any:
        """Litestar's way to ask for the application."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._raw_headers})
        # The head leaves with the first piece of the body, and clients wait for it.
        await _write(send, _KEEP_ALIVE)
        pump = _Pump(self._events, send)
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(pump.run()),
            asyncio.create_task(_disconnect(receive)),
        ]
        if (draining := draining_event(scope)) is not None:
            tasks.append(asyncio.create_task(draining.wait()))
        try:
            await self._until_first(tasks, pump, send)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if isinstance(self._events, AsyncGenerator):
                await self._events.aclose()
        running, gone = tasks[0], tasks[1]
        if not running.cancelled():
            running.result()
        if gone.cancelled():
            # Neither gone nor lost: it still listens.
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            gone.exception()  # looked at, so that asyncio does not complain: a lost connection is a client that went away

    async def _until_first(self, tasks: list[asyncio.Task[Any]], pump: _Pump, send: Send) -> None:
        while True:
            pump.idle = True
            done, _ = await asyncio.wait(
                tasks, timeout=self._heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return
            # Not while an event waits for the client: a busy stream needs no sign of life.
            if pump.idle and not pump.sending:
                await _write(send, _KEEP_ALIVE)


class _Pump:
    """Moves events from the iterator to the client. A task of its own, so that an event costs no more than its send."""

    def __init__(self, events: AsyncIterator[SseEvent], send: Send) -> None:
        self._events = events
        self._send = send
        self.sending = False
        #: Cleared by each event.
        self.idle = True

    async def run(self) -> None:
        async for event in self._events:
            self.sending = True
            self.idle = False
            await _write(self._send, event.encode())
            self.sending = False


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def sse(
    events: AsyncIterator[SseEvent],
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    headers: Mapping[str, str] | None = None,
) -> EventStream:
    """Stream these events: return it from a Litestar handler (annotated ``-> EventStream``) or call it as an ASGI app."""
    return EventStream(events, heartbeat_seconds=heartbeat_seconds, headers=headers)
