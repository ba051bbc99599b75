"""How many programs of one endpoint run at once, and how many requests may wait for their turn."""

from __future__ import annotations

import asyncio
from collections import deque


class GateFullError(Exception):
    """As many run as may, and as many wait as may."""


class Gate:
    """A bounded queue before a bounded number of slots; first come, first served."""

    def __init__(self, slots: int, queue_limit: int) -> None:
        self.slots = slots
        self.queue_limit = queue_limit
        self.running = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    async def enter(self) -> None:
        """Take a slot, after waiting for one where needed. Whoever entered must :meth:`leave`.

        :raises GateFullError: at once, when the queue is full.
        """
        if self.running < self.slots:
            self.running += 1
            return
        if len(self._waiters) >= self.queue_limit:
            raise GateFullError
        turn = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The slot was handed over in the same step that gave the wait up: pass it on.
                self.leave()
            else:
                self._waiters.remove(turn)
            raise

    def leave(self) -> None:
        """Give the slot to the next in the queue, or free it."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1
