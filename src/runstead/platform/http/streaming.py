"""Answers that are made while they are sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final

from litestar.response import Response

from runstead.kernel.capability import Receive, Scope, Send
from runstead.platform.http.lifecycle import draining_event
from runstead.platform.http.responses import encode_headers

#: Seconds that a source which always has something ready may keep the event loop.
_TURN_SECONDS_MAX: Final = 0.01


class ByteStream(Response[Any]):
    """A body from an iterator: what a Litestar handler returns, and a plain ASGI application as well.

    Ends when the iterator ends or the client goes away; the iterator is closed in each case, so that its ``finally`` is where
    a subscription is given up. The next piece is asked for when the client has taken the last one: a slow client slows its
    own iterator, and no queue grows here. When the iterator raises, the connection is closed without the end of the body,
    which is how HTTP says that an answer is not complete.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        *,
        content_type: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        heartbeat: tuple[float, bytes] | None = None,
        endless: bool = False,
    ) -> None:
        """Build a stream.

        :param heartbeat: after how many seconds without a piece to send what instead.
        :param endless: end when the server drains, for there is no end to wait for.
        """
        super().__init__(None, status_code=status, media_type=content_type)
        self._pieces = pieces
        self._heartbeat_seconds = heartbeat[0] if heartbeat else None
        self._heartbeat = heartbeat[1] if heartbeat else b""
        self._endless = endless
        self._start = {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", content_type.encode("latin-1")), *encode_headers(headers or {})],
        }

    def to_asgi_response(self, *_args: Any, **_options: Any) -> Any:
        """Litestar's way to ask for the application."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._start)
        if self._heartbeat:
            # The head leaves with the first piece of the body, and clients wait for it.
            await _write(send, self._heartbeat)
        pump = _Pump(self._pieces, send)
        running = asyncio.create_task(pump.run())
        gone = asyncio.create_task(_disconnect(receive))
        tasks: list[asyncio.Task[Any]] = [running, gone]
        if self._endless and (draining := draining_event(scope)) is not None:
            tasks.append(asyncio.create_task(draining.wait()))
        try:
            await self._until_first(tasks, pump, send)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if isinstance(self._pieces, AsyncGenerator):
                await self._pieces.aclose()
        if not running.cancelled():
            running.result()
        if gone.cancelled():
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            # Looked at, so that asyncio does not complain: a connection that failed is a client that went away.
            gone.exception()

    async def _until_first(self, tasks: list[asyncio.Task[Any]], pump: _Pump, send: Send) -> None:
        while True:
            pump.idle = True
            done, _ = await asyncio.wait(
                tasks, timeout=self._heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return
            # Not while a piece waits for the client: a busy stream needs no sign of life.
            if pump.idle and not pump.sending:
                await _write(send, self._heartbeat)


class _Pump:
    """Moves pieces from the iterator to the client. A task of its own, so that a piece costs no more than its send."""

    def __init__(self, pieces: AsyncIterator[bytes], send: Send) -> None:
        self._pieces = pieces
        self._send = send
        self.sending = False
        #: Cleared by each piece.
        self.idle = True

    async def run(self) -> None:
        turn_ends = time.monotonic() + _TURN_SECONDS_MAX
        async for piece in self._pieces:
            self.sending = True
            self.idle = False
            await _write(self._send, piece)
            self.sending = False
            if time.monotonic() > turn_ends:
                # Neither the source nor a connection that is gone need ever wait; then nobody else would get a turn, and
                # nobody would learn that the client went away.
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + _TURN_SECONDS_MAX


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def stream(
    pieces: AsyncIterator[bytes],
    content_type: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> ByteStream:
    """Stream these bytes: return it from a Litestar handler (annotated ``-> ByteStream``) or call it as an ASGI app."""
    return ByteStream(pieces, content_type=content_type, status=status, headers=headers)
