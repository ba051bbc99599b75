"""Stopping SQL that runs too long, from within SQLite."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy

#: Instructions of SQLite's virtual machine between two looks at the clock: about a millisecond.
_INSTRUCTIONS: Final = 100_000

_KEY = "runstead.limit"


class _Limit:
    """When the statements of one connection must stop. Only the thread that has the connection touches it."""

    __slots__ = ("abandoned", "until")

    def __init__(self) -> None:
        self.free()

    def free(self) -> None:
        self.until = math.inf
        self.abandoned: Callable[[], bool] = bool

    def exceeded(self) -> bool:
        return time.monotonic() > self.until or self.abandoned()


def install_limit(driver: Any, record: Any) -> None:
    """Give a new driver connection a limit; a listener for the pool's ``connect`` event."""
    limit = record.info[_KEY] = _Limit()
    driver.set_progress_handler(limit.exceeded, _INSTRUCTIONS)


@contextmanager
def limited(
    connection: sqlalchemy.Connection, seconds: float, abandoned: Callable[[], bool] = bool
) -> Iterator[None]:
    """Interrupt statements inside this block after so many seconds, or as soon as ``abandoned()`` is true."""
    limit: _Limit = connection.info[_KEY]
    limit.until, limit.abandoned = time.monotonic() + seconds, abandoned
    try:
        yield
    finally:
        limit.free()
