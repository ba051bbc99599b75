"""Server-Sent Events (html.spec.whatwg.org, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from runstead.platform.http.streaming import ByteStream

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


class EventStream(ByteStream):
    """A stream of events; see :class:`ByteStream`. It ends when the server drains, and clients connect again."""

    def __init__(
        self,
        events: AsyncIterator[SseEvent | bytes],
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            _encoded(events),
            content_type="text/event-stream; charset=utf-8",
            headers={
                "Cache-Control": "no-cache, no-transform",
                # nginx would otherwise hold events back until its buffer is full.
                "X-Accel-Buffering": "no",
                **(headers or {}),
            },
            heartbeat=(heartbeat_seconds, _KEEP_ALIVE),
            endless=True,
        )


async def _encoded(events: AsyncIterator[SseEvent | bytes]) -> AsyncIterator[bytes]:
    try:
        async for event in events:
            yield event if isinstance(event, bytes) else event.encode()
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()


def sse(
    events: AsyncIterator[SseEvent | bytes],
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    headers: Mapping[str, str] | None = None,
) -> EventStream:
    """Stream these events, of which some may be encoded already.

    Return it from a Litestar handler (annotated ``-> EventStream``) or call it as an ASGI app.
    """
    return EventStream(events, heartbeat_seconds=heartbeat_seconds, headers=headers)
