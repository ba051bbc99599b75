"""A work that somebody waits for on an event loop while a thread does it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import sqlalchemy

T = TypeVar("T")

#: What a store hands over: a function of the connection. It may be run again, so it changes nothing but the database.
Work = Callable[[sqlalchemy.Connection], T]


class Waiting(Generic[T]):
    """One call of ``read`` or ``write`` on its way through a thread.

    Made on the event loop; :meth:`run` in the thread; :func:`settle` back on the loop. Whoever waits may be cancelled at any
    time: before :meth:`run` the work is dropped, later its outcome is.
    """

    __slots__ = ("_error", "_value", "asked_at", "future", "loop", "work")

    def __init__(self, work: Work[T]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.asked_at = time.monotonic()
        self._value: Any = None
        self._error: BaseException | None = None

    def abandoned(self) -> bool:
        """Nobody waits any more. Reading this from another thread is safe: it is one attribute."""
        return self.future.cancelled()

    @property
    def failed(self) -> bool:
        return self._error is not None

    def run(self, connection: sqlalchemy.Connection) -> None:
        """Do the work and keep what it returned.

        :raises Exception: what the work raised.
        """
        value = self.work(connection)
        if isinstance(value, sqlalchemy.Result):
            raise TypeError(
                "a work returns rows, not an open result: it is read after the transaction has ended"
            )
        self._value = value

    def succeed(self, value: T) -> None:
        self._value = value

    def fail(self, error: BaseException) -> None:
        # A future refuses StopIteration, and that would be lost silently.
        self._error = (
            RuntimeError("a work raised StopIteration") if isinstance(error, StopIteration) else error
        )

    def settle(self) -> None:
        """Tell whoever waits. On the loop only."""
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._value)


def settle(waiting: Iterable[Waiting[Any]]) -> None:
    """Tell all that wait, from any thread, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Waiting[Any]]] = {}
    for one in waiting:
        by_loop.setdefault(one.loop, []).append(one)
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, settled)
        except RuntimeError:
            continue  # the loop is closed, so nobody waits on it


def _settle_all(waiting: list[Waiting[Any]]) -> None:
    for one in waiting:
        one.settle()
