"""Work beside requests: as long as a context is open, and as often as there is something to do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from runstead.kernel.clock import Clock

T = TypeVar("T")
_log = logging.getLogger(__name__)


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Do this while the context is open; at its end the work is cancelled and waited for."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def first_of(*waits: Awaitable[Any]) -> None:
    """Wait until one of these has come, and give the others up."""
    tasks = [asyncio.ensure_future(one) for one in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class DueWork(Generic[T]):
    """Takes what is due, does it, and sleeps until something is due again or somebody says so."""

    def __init__(
        self,
        *,
        take: Callable[[], Awaitable[Sequence[T]]],
        act: Callable[[T], Awaitable[None]],
        seconds_left: Callable[[], Awaitable[float]],
        clock: Clock,
        at_once: int,
        look_seconds: float,
    ) -> None:
        """Prepare.

        :param take: what is due now, and belongs to this process from then on.
        :param act: do one of it. What it raises is told, and stops nobody.
        :param seconds_left: until the next is due.
        :param at_once: how much is done at the same time.
        :param look_seconds: the longest sleep: another process may have added something.
        """
        self._take = take
        self._act = act
        self._seconds_left = seconds_left
        self._clock = clock
        self._gate = asyncio.Semaphore(at_once)
        self._look_seconds = look_seconds
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Something has changed: look now."""
        self._changed.set()

    async def run(self) -> None:
        """For ever. What goes wrong with the looking is told, and the next look is as good."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                try:
                    for one in await self._take():
                        await self._gate.acquire()
                        tasks.create_task(self._do(one))
                    seconds = min(max(0.0, await self._seconds_left()), self._look_seconds)
                except Exception:  # noqa: BLE001 - a database that is away comes back
                    _log.exception("what is due could not be looked at")
                    seconds = self._look_seconds
                await first_of(self._clock.sleep(seconds), self._changed.wait())

    async def _do(self, one: T) -> None:
        try:
            await self._act(one)
        except Exception:  # noqa: BLE001 - one that fails must not end the others, and is due again
            _log.exception("what was due could not be done")
        finally:
            self._gate.release()
