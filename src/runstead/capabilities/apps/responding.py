"""Answers that a script makes while they are sent: it waits for each piece until the client has taken it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from runstead.capabilities.apps.exchange import checked_head
from runstead.capabilities.apps.hostcalls import Calls, Session
from runstead.kernel.capability import Receive, Send
from runstead.kernel.errors import BadRequestError
from runstead.kernel.limits import MIB

#: Seconds that a script may take for the next piece, or a client for the last one.
IDLE_SECONDS_MAX: Final = 60.0
PIECE_BYTES_MAX: Final = 4 * MIB
NAME: Final = "response"


class Streamed:
    """The answer of one request, as long as it is not complete. Kept by the session under :data:`NAME`."""

    def __init__(self, receive: Receive, send: Send, *, is_head: bool, strict: bool) -> None:
        self._receive = receive
        self._send = send
        self._watching: asyncio.Task[None] | None = None
        self._gone = False
        self._is_head = is_head
        self._strict = strict
        #: The clocks of the request. From the first piece on there is a limit between pieces only.
        self.clocks: list[asyncio.Timeout] = []
        self.started = False

    async def start(self, status: Any, headers: Any) -> None:
        """Send the head.

        :raises AppResponseError: it cannot be sent.
        """
        if self.started:
            raise BadRequestError("the response has begun already")
        status, pairs = checked_head(status, headers, strict=self._strict)
        self.started = True
        self._wind()
        self._watching = asyncio.create_task(self._watch())
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def piece(self, data: bytes) -> None:
        """Send a piece; returns when the client can take another."""
        if not self.started:
            raise BadRequestError("the response has not begun")
        if self._gone:
            raise BadRequestError("the client has gone away")
        if len(data) > PIECE_BYTES_MAX:
            raise BadRequestError(f"a piece may have {PIECE_BYTES_MAX} bytes")
        self._wind()
        if data and not self._is_head:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def close(self) -> None:
        """The request has ended, however."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True

    def _wind(self) -> None:
        until = asyncio.get_running_loop().time() + IDLE_SECONDS_MAX
        for clock in self.clocks:
            clock.reschedule(until)


class ResponseCalls:
    """What scripts may do with the answer that they are making."""

    def calls(self) -> Calls:
        return {"response.start": self._start, "response.piece": self._piece}

    async def _start(self, session: Session, status: int, headers: list[list[str]]) -> None:
        await _of(session).start(status, headers)

    async def _piece(self, session: Session, text: str | None, hexadecimal: str | None) -> None:
        if text is not None:
            await _of(session).piece(text.encode("utf-8", "replace"))
            return
        try:
            await _of(session).piece(bytes.fromhex(hexadecimal or ""))
        except ValueError:
            raise BadRequestError("a piece is a text or bytes") from None


def _of(session: Session) -> Streamed:
    streamed = session.kept.get(NAME)
    if not isinstance(streamed, Streamed):
        raise BadRequestError("there is no response to stream here")
    return streamed
