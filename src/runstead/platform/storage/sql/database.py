"""The one door to SQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self, TypeVar

import sqlalchemy

from runstead.kernel.clock import Clock, SystemClock
from runstead.platform.storage.sql.errors import DatabaseClosedError, DatabaseUnreachableError, translate
from runstead.platform.storage.sql.postgresql import PostgresBackend
from runstead.platform.storage.sql.sqlite import SqliteBackend
from runstead.platform.storage.sql.waiting import Waiting, Work

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Connections that write to PostgreSQL at once.
POSTGRESQL_WRITERS: Final = 4

#: Seconds of SQL in one work. Whatever takes longer belongs into smaller works.
WORK_SECONDS_MAX: Final = 30.0

_DRIVERS: Final = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStats:
    """Totals since the database was opened, and what waits now."""

    reads: int
    reads_failed: int
    reads_refused: int
    reads_waiting: int
    reads_seconds: float
    #: Transactions; on SQLite one holds many works.
    groups: int
    writes: int
    writes_failed: int
    writes_refused: int
    writes_waiting: int
    #: From the call to the durable commit, over all works.
    writes_seconds: float
    #: Works run again because PostgreSQL asked for it.
    retries: int


class _Backend(Protocol):
    def open(self) -> None: ...
    def close(self) -> None: ...
    def read(self, one: Waiting[Any]) -> None: ...
    def write(self, one: Waiting[Any]) -> None: ...
    def schema_change(self) -> AbstractContextManager[sqlalchemy.Connection]: ...


class Database:
    """SQL on SQLite or PostgreSQL: synchronous Core code that runs on threads, called from the event loop.

    Guarantee: :meth:`write` returns after the durable commit, or raises and has changed nothing; writes happen as if one
    after the other. :meth:`read` sees one consistent snapshot and cannot write. Both are bounded: a full queue raises ``E_BUSY``.
    Failure: what a driver raises arrives as a :class:`DatabaseError`; what a work raises arrives as it is. Whoever waits may be
    cancelled at any time; a work that has begun is then finished or undone as a whole.
    Why not an async driver: it puts a thread or a greenlet under each call anyway and keeps transactions open across awaits.
    """

    dialect: Literal["sqlite", "postgresql"]

    def __init__(
        self,
        url: str,
        *,
        readers: int = 4,
        work_seconds_max: float = WORK_SECONDS_MAX,
        clock: Clock | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        :param url: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://user:password@host/name``.
        :param readers: reads that run at once.
        :param work_seconds_max: SQL of one work that runs longer is interrupted.
        :raises ValueError: for any other URL.
        """
        parsed = _parse(url)
        #: For messages: without the password.
        self.url = parsed.render_as_string(hide_password=True)
        self.clock: Clock = clock or SystemClock()
        self._open = False
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._backend: SqliteBackend | PostgresBackend
        if parsed.get_backend_name() == "sqlite":
            self.dialect = "sqlite"
            self._backend = SqliteBackend(
                parsed, readers=readers, work_seconds_max=work_seconds_max, committed=self._committed
            )
        else:
            self.dialect = "postgresql"
            self._backend = PostgresBackend(
                parsed,
                readers=readers,
                writers=POSTGRESQL_WRITERS,
                work_seconds_max=work_seconds_max,
                committed=self._committed,
            )

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database."""
        return self._backend.path if isinstance(self._backend, SqliteBackend) else None

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self._backend.open)
        except (sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            await asyncio.to_thread(self._backend.close)
            # Whoever starts the server reads this, not a client, so it may say what and where.
            cause = getattr(error, "orig", None) or error
            raise DatabaseUnreachableError(f"cannot open the database {self.url}: {cause}") from error
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = False
        # Shielded: a second interrupt must not leave a commit half-way and the threads behind.
        await asyncio.shield(asyncio.to_thread(self._backend.close))

    async def read(self, work: Work[T]) -> T:
        """Run ``work(connection)`` on a reader: read-only, one consistent snapshot.

        :raises DatabaseError: the database refused; its kinds say why.
        """
        self._check_open()
        one = Waiting(work)
        self._backend.read(one)
        return await one.future

    async def write(self, work: Work[T]) -> T:
        """Run ``work(connection)`` in a transaction and return once it is durable.

        The work may be run again, so it changes nothing but the database. It never commits or rolls back; to undo, raise.

        :raises DatabaseError: the database refused; nothing was changed.
        """
        self._check_open()
        one = Waiting(work)
        self._backend.write(one)
        return await one.future

    async def change_schema(self, work: Work[T]) -> T:
        """Run a work that may create and rebuild tables, while no other process does.

        :raises DatabaseError: the database refused; nothing was changed.
        """
        self._check_open()

        def run() -> T:
            with self._backend.schema_change() as connection:
                return work(connection)

        try:
            return await asyncio.to_thread(run)
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise translate(error) from error

    def on_commit(self, name: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Have ``listener`` called, on some thread, after a commit in this process that carried :func:`signal` ``name``.

        :returns: a function that ends it.
        """
        listeners = self._listeners.setdefault(name, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    def _check_open(self) -> None:
        if not self._open:
            raise DatabaseClosedError

    def _committed(self, signals: Sequence[str]) -> None:
        for name in signals:
            for listener in tuple(self._listeners.get(name, ())):
                try:
                    listener()
                except Exception:
                    # The commit has happened; those who wait for it must hear of that and of nothing else.
                    log.exception("a listener of commits failed", extra={"signal": name})

    def stats(self) -> DatabaseStats:
        """Figures for the metrics page."""
        backend = self._backend
        readers = backend.readers
        if isinstance(backend, SqliteBackend):
            counters = backend.writer.counters
            groups, works, failed, refused = (
                counters.groups,
                counters.works,
                counters.failed,
                counters.refused,
            )
            waiting, seconds, retries = backend.writer.waiting, counters.waited_seconds, 0
        else:
            writers = backend.writers
            groups, works, failed, refused = writers.works, writers.works, writers.failed, writers.refused
            waiting, seconds, retries = writers.waiting, writers.waited_seconds, backend.retries
        return DatabaseStats(
            reads=readers.works,
            reads_failed=readers.failed,
            reads_refused=readers.refused,
            reads_waiting=readers.waiting,
            reads_seconds=readers.waited_seconds,
            groups=groups,
            writes=works,
            writes_failed=failed,
            writes_refused=refused,
            writes_waiting=waiting,
            writes_seconds=seconds,
            retries=retries,
        )


def _parse(url: str) -> sqlalchemy.URL:
    scheme, separator, rest = url.partition("://")
    driver = _DRIVERS.get(scheme.partition("+")[0])
    if not separator or driver is None:
        raise ValueError(f"a database URL begins with sqlite:/// or postgresql://, not {scheme!r}")
    return sqlalchemy.make_url(f"{driver}://{rest}")
