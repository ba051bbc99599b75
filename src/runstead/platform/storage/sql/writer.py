"""The one writer of an SQLite database."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy import exc

from runstead.platform.storage.sql.errors import DatabaseBusyError, DatabaseClosedError, translate
from runstead.platform.storage.sql.guard import OwnTransaction, guard, transaction
from runstead.platform.storage.sql.limit import limited
from runstead.platform.storage.sql.waiting import Waiting, settle

log = logging.getLogger(__name__)

#: Works that may wait. At a few thousand a second this is a second or two of waiting: more would only time out.
WAITING_WORKS_MAX: Final = 4096

#: Works in one transaction, so that the first of them does not wait for an endless stream of others.
GROUP_WORKS_MAX: Final = 256

#: Seconds of running works before the group is committed, for the same reason.
GROUP_SECONDS_MAX: Final = 0.05

#: Seconds that closing waits for the works that still wait; what is left then is refused.
CLOSE_SECONDS_MAX: Final = 10.0


@dataclass(slots=True)
class WriterCounters:
    """Totals since the start. Written by the writer thread, read by anybody."""

    groups: int = 0
    works: int = 0
    failed: int = 0
    refused: int = 0
    #: From the call to the durable commit, over all works.
    waited_seconds: float = 0.0


class GroupWriter:
    """Runs all writes on one thread, as many as wait in one transaction, and tells them after the commit.

    Guarantee: a write that returned is on the disk (WAL, ``synchronous=FULL``); works run one after the other in the
    order of the calls, each in a savepoint, so one that fails leaves nothing behind and does not hurt its neighbours.
    Failure: when SQLite gives up the whole transaction in the middle (disk full, interrupted), the culprit fails and the
    others are run again, each alone; a commit that fails fails all works in it. A full queue refuses with ``E_BUSY``.
    A kill loses only what nobody was told about.
    Why not one commit for each write: the cost is the fsync, not the rows, and 64 writers share one. Why not several
    connections: SQLite has one write lock, and whoever waits for it inside SQLite polls.
    """

    def __init__(
        self,
        engine: sqlalchemy.Engine,
        *,
        work_seconds_max: float,
        committed: Callable[[Sequence[str]], None],
    ) -> None:
        """Prepare; the thread starts with :meth:`start`.

        :param work_seconds_max: SQL that runs longer is interrupted, for everybody else waits behind it.
        :param committed: called on the writer's thread with the signals of a commit; it never raises.
        """
        self.counters = WriterCounters()
        self._work_seconds_max = work_seconds_max
        self._engine = engine
        self._committed = committed
        self._queue: deque[Waiting[Any]] = deque()
        self._changed = threading.Condition(threading.RLock())
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="runstead-sql-writer", daemon=True)
        guard(engine)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def start(self) -> None:
        self._thread.start()

    def submit(self, one: Waiting[Any]) -> None:
        """Queue a work.

        :raises DatabaseBusyError: too many wait already.
        :raises DatabaseClosedError: the writer is closing.
        """
        with self._changed:
            if self._closing:
                raise DatabaseClosedError
            if len(self._queue) >= WAITING_WORKS_MAX:
                self.counters.refused += 1
                raise DatabaseBusyError(headers={"Retry-After": "1"})
            self._queue.append(one)
            self._changed.notify()

    def close(self) -> None:
        """Take nothing more, finish what waits, end the thread. Blocking."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if not self._thread.is_alive():
            return
        self._thread.join(CLOSE_SECONDS_MAX)
        with self._changed:
            left = self._take_all()
        if left:
            log.error("the database was closed with writes still waiting", extra={"refused": len(left)})
        for one in left:
            one.fail(DatabaseClosedError())
        settle(left)
        self._thread.join(CLOSE_SECONDS_MAX)

    def _run(self) -> None:
        while self._wait_for_work():
            done: list[Waiting[Any]] = []
            try:
                self._run_group(done)
            except BaseException as error:  # noqa: BLE001 - the thread must outlive anything; all who wait are told
                for one in done:
                    if not one.failed:
                        one.fail(translate(error))
            self._count(done)
            settle(done)
        self._engine.dispose()

    def _wait_for_work(self) -> bool:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return bool(self._queue)

    def _take(self) -> Waiting[Any] | None:
        with self._changed:
            while self._queue:
                one = self._queue.popleft()
                if not one.abandoned():
                    return one
        return None

    def _take_all(self) -> list[Waiting[Any]]:
        with self._changed:
            taken = [one for one in self._queue if not one.abandoned()]
            self._queue.clear()
        return taken

    def _run_group(self, done: list[Waiting[Any]]) -> None:
        """Run what waits in one transaction; every work taken is added to ``done`` before it is run."""
        until = time.monotonic() + GROUP_SECONDS_MAX
        one = self._take()
        if one is None:
            return
        done.append(one)
        try:
            with transaction(self._engine) as own:
                while one is not None and self._run_one(own, one):
                    one = self._take() if len(done) < GROUP_WORKS_MAX and time.monotonic() < until else None
                    if one is not None:
                        done.append(one)
                if one is None:
                    self._announce(own.commit())
                    return
        except exc.IntegrityError:
            # Only the commit gets here: a deferred constraint. Whose it was shows when each runs alone.
            pass
        except exc.OperationalError as error:
            if _is_locked(error):
                # Another process holds the write lock; whoever waits as well would only wait as long again.
                done += self._take_all()
            raise
        for one in done:
            if not one.failed:
                self._run_alone(one)

    def _run_one(self, own: OwnTransaction, one: Waiting[Any]) -> bool:
        """Run one work in a savepoint. False when its failure took the whole transaction with it."""
        try:
            with own.savepoint(), limited(own.connection, self._work_seconds_max):
                one.run(own.connection)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits
            one.fail(translate(error))
        return own.intact

    def _run_alone(self, one: Waiting[Any]) -> None:
        try:
            with transaction(self._engine) as own:
                with limited(own.connection, self._work_seconds_max):
                    one.run(own.connection)
                self._announce(own.commit())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits
            one.fail(translate(error))

    def _announce(self, signals: list[str]) -> None:
        if signals:
            self._committed(signals)

    def _count(self, done: list[Waiting[Any]]) -> None:
        now = time.monotonic()
        counters = self.counters
        counters.groups += 1
        counters.works += len(done)
        counters.failed += sum(one.failed for one in done)
        counters.waited_seconds += sum(now - one.asked_at for one in done)


def _is_locked(error: exc.OperationalError) -> bool:
    return isinstance(translate(error), DatabaseBusyError)
