"""SQLite: one writer that commits in groups, a pool of read-only readers."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.pool import NullPool, QueuePool

from runstead.kernel.limits import MIB
from runstead.platform.storage.sql.errors import DatabaseBusyError, DatabaseError
from runstead.platform.storage.sql.limit import install_limit, limited
from runstead.platform.storage.sql.threads import WorkThreads
from runstead.platform.storage.sql.waiting import Waiting
from runstead.platform.storage.sql.writer import GroupWriter

T = TypeVar("T")

#: Milliseconds to wait for another process (a backup, a command) that holds the write lock.
BUSY_MILLISECONDS_MAX: Final = 5_000

#: Seconds that a start waits for another process that is changing the schema.
SCHEMA_LOCK_SECONDS_MAX: Final = 120.0

#: The write-ahead log is cut back to this after a checkpoint, when a burst has made it larger.
JOURNAL_BYTES_MAX: Final = 16 * MIB

#: Pages kept by each connection, in KiB; the page cache of the kernel holds the rest for all of them.
WRITER_CACHE_KIB: Final = 4096
READER_CACHE_KIB: Final = 2048


class SqliteBackend:
    """One file, one process that serves from it; other processes may read it, and write briefly."""

    def __init__(
        self,
        url: sqlalchemy.URL,
        *,
        readers: int,
        work_seconds_max: float,
        committed: Callable[[Sequence[str]], None],
    ) -> None:
        if not url.database or url.database == ":memory:" or url.query:
            raise ValueError(
                "an SQLite URL names a file and nothing else, as in sqlite:////var/lib/runstead/runstead.db"
            )
        self.path = Path(url.database)
        self.readers = WorkThreads(readers, "runstead-sql-reader")
        self.writer = GroupWriter(
            _engine(url, _WRITER_PRAGMAS, "BEGIN IMMEDIATE", pool_size=1),
            work_seconds_max=work_seconds_max,
            committed=committed,
        )
        self._work_seconds_max = work_seconds_max
        self._reading = _engine(url, _READER_PRAGMAS, "BEGIN", pool_size=readers)
        self._schema = _engine(url, _SCHEMA_PRAGMAS, "BEGIN IMMEDIATE", pool_size=0)

    def open(self) -> None:
        """Create what is missing and check that the file is a database. Blocking."""
        _make_folder(self.path.parent)
        with self._schema.connect() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        if mode != "wal":
            raise DatabaseError(
                f"{self.path} does not take a write-ahead log: is it on a network file system?"
            )
        self.writer.start()

    def close(self) -> None:
        """Finish what waits, close every connection. Blocking."""
        self.writer.close()
        self.readers.close()
        self._reading.dispose()

    def read(self, one: Waiting[Any]) -> None:
        self.readers.submit(one, self._read)

    def write(self, one: Waiting[Any]) -> None:
        self.writer.submit(one)

    def _read(self, one: Waiting[Any]) -> None:
        with (
            self._reading.connect() as connection,
            limited(connection, self._work_seconds_max, one.abandoned),
        ):
            one.run(connection)

    @contextmanager
    def schema_change(self) -> Iterator[sqlalchemy.Connection]:
        """One transaction that may change tables, alone on the machine. Blocking.

        Foreign keys are off in it, since rebuilding a table drops the old one and would take all that refers to it along; they
        are checked as a whole before the commit.
        """
        lock = self.path.with_name(self.path.name + ".lock")
        with locked(lock), self._schema.connect() as connection, connection.begin():
            yield connection
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise DatabaseError(f"the schema change would leave a reference to nothing in {broken[0]}")


_COMMON_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS_MAX}",
    "PRAGMA mmap_size = 0",
    f"PRAGMA journal_size_limit = {JOURNAL_BYTES_MAX}",
)
_WRITER_PRAGMAS: Final = (
    *_COMMON_PRAGMAS,
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
    f"PRAGMA cache_size = -{WRITER_CACHE_KIB}",
)
_READER_PRAGMAS: Final = (
    *_COMMON_PRAGMAS,
    f"PRAGMA cache_size = -{READER_CACHE_KIB}",
    "PRAGMA query_only = ON",
)
_SCHEMA_PRAGMAS: Final = (
    *_COMMON_PRAGMAS,
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = OFF",
)


def _engine(url: sqlalchemy.URL, pragmas: Sequence[str], begin: str, *, pool_size: int) -> sqlalchemy.Engine:
    pool: dict[str, Any] = {"poolclass": NullPool}
    if pool_size:
        pool = {"poolclass": QueuePool, "pool_size": pool_size, "max_overflow": 0, "pool_timeout": 30}
    engine = sqlalchemy.create_engine(url, connect_args={"check_same_thread": False}, **pool)

    def connected(driver: Any, record: Any) -> None:
        install_limit(driver, record)
        # Otherwise the driver begins transactions when it sees fit; here the listener below does.
        driver.isolation_level = None
        for pragma in pragmas:
            driver.execute(pragma).close()

    def begun(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    return engine


def _make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter, and make it last through a power cut."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for made in missing:
        descriptor = os.open(made.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; it ends with the process that holds it, however that ends."""
    until = time.monotonic() + SCHEMA_LOCK_SECONDS_MAX
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise DatabaseBusyError(f"another process holds {path} for too long") from None
                time.sleep(0.02)
        yield
