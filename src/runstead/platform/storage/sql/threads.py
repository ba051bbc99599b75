"""A few threads that run works, with a bound on how many may wait for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from runstead.platform.storage.sql.errors import DatabaseBusyError, DatabaseClosedError, translate
from runstead.platform.storage.sql.waiting import Waiting, settle

#: Works that may wait for one of the threads: a second or two of waiting, like the writer's queue.
WAITING_WORKS_MAX: Final = 1024


class WorkThreads:
    """Bounded: what does not fit is refused at once with ``E_BUSY``. Threads start when they are first needed."""

    def __init__(self, count: int, name: str) -> None:
        self.works = 0
        self.failed = 0
        self.refused = 0
        self.waited_seconds = 0.0
        self._count = count
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._inside = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        return max(0, self._inside - self._count)

    def submit(self, one: Waiting[Any], run: Callable[[Waiting[Any]], None]) -> None:
        """Have ``run(one)`` called on a thread; what it raises goes to whoever waits.

        :raises DatabaseBusyError: too many wait already.
        :raises DatabaseClosedError: the pool is closed.
        """
        with self._lock:
            if self._closed:
                raise DatabaseClosedError
            if self._inside >= self._count + WAITING_WORKS_MAX:
                self.refused += 1
                raise DatabaseBusyError(headers={"Retry-After": "1"})
            self._inside += 1
            self._executor.submit(self._run, one, run)

    def close(self) -> None:
        """Finish what waits, end the threads. Blocking."""
        with self._lock:
            self._closed = True
        self._executor.shutdown(wait=True)

    def _run(self, one: Waiting[Any], run: Callable[[Waiting[Any]], None]) -> None:
        try:
            if not one.abandoned():
                run(one)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits
            one.fail(translate(error))
        with self._lock:
            self._inside -= 1
            self.works += 1
            self.failed += one.failed
            self.waited_seconds += time.monotonic() - one.asked_at
        settle([one])
