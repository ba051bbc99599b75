"""PostgreSQL through psycopg 3, with the same two calls."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from runstead.platform.storage.sql.errors import (
    DatabaseUnreachableError,
    is_disconnect,
    is_serialization_failure,
)
from runstead.platform.storage.sql.guard import OwnTransaction, guard, transaction
from runstead.platform.storage.sql.threads import WorkThreads
from runstead.platform.storage.sql.turns import Turns
from runstead.platform.storage.sql.waiting import Waiting

#: Times that a work is run when PostgreSQL refuses its transaction for the sake of others, or the connection was stale.
ATTEMPTS_MAX: Final = 12

#: Attempts beside the other writers of this process; further ones are made alone, or works that all touch one row would
#: push each other out until one of them has no attempt left.
ATTEMPTS_TOGETHER: Final = 3

#: Seconds between two attempts: doubled each time, with jitter, up to the maximum.
BACK_OFF_SECONDS: Final = 0.002
BACK_OFF_SECONDS_MAX: Final = 0.25

#: Seconds after which no further attempt is begun; long enough for a server that restarts.
RETRY_SECONDS_MAX: Final = 5.0

#: Seconds to wait for the server when a connection is made.
CONNECT_SECONDS_MAX: Final = 5

#: Seconds that a start waits for another process that is changing the schema.
SCHEMA_LOCK_SECONDS_MAX: Final = 120

#: The key of the advisory lock for schema changes: "runstead" in ASCII, as a signed 64-bit number.
SCHEMA_LOCK: Final = int.from_bytes(b"runstead", "big")


class PostgresBackend:
    """Writes are serializable, reads are one repeatable snapshot: a store that is right on SQLite's one writer is right here.

    A work is run again when the server refuses its transaction (serialization failure, deadlock) or when a pooled connection
    turns out to be dead before the commit was sent. A connection lost during the commit is not tried again: nobody
    can know whether it happened.
    """

    def __init__(
        self,
        url: sqlalchemy.URL,
        *,
        readers: int,
        writers: int,
        work_seconds_max: float,
        committed: Callable[[Sequence[str]], None],
    ) -> None:
        self.readers = WorkThreads(readers, "runstead-sql-reader")
        self.writers = WorkThreads(writers, "runstead-sql-writer")
        self.retries = 0
        self._turns = Turns()
        self._committed = committed
        self._statement_timeout = f"{round(work_seconds_max * 1000)}ms"
        self._engine = sqlalchemy.create_engine(
            url,
            poolclass=QueuePool,
            pool_size=readers + writers,
            max_overflow=1,
            connect_args={"connect_timeout": CONNECT_SECONDS_MAX, "application_name": "runstead"},
        )
        event.listen(self._engine, "connect", self._prepare)
        self._reading = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._writing = self._engine.execution_options(isolation_level="SERIALIZABLE")
        guard(self._writing)

    def _prepare(self, driver: Any, _record: Any) -> None:
        """Bound the statements of a new connection, and see to it that a write that returned lasts.

        A stronger ``synchronous_commit`` than "on" stays as the server has it.
        """
        with driver.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", (self._statement_timeout,))
            cursor.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
        driver.commit()

    def open(self) -> None:
        """Connect once, so that a wrong URL shows at the start. Blocking."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")

    def close(self) -> None:
        """Finish what waits, close every connection. Blocking."""
        self.writers.close()
        self.readers.close()
        self._engine.dispose()

    def read(self, one: Waiting[Any]) -> None:
        self.readers.submit(one, self._read)

    def write(self, one: Waiting[Any]) -> None:
        self.writers.submit(one, self._write)

    def _read(self, one: Waiting[Any]) -> None:
        def attempt(_number: int) -> None:
            with self._reading.connect() as connection:
                one.run(connection)

        self._try_again(attempt)

    def _write(self, one: Waiting[Any]) -> None:
        def attempt(number: int) -> None:
            with self._turns.taken(alone=number > ATTEMPTS_TOGETHER), transaction(self._writing) as own:
                one.run(own.connection)
                signals = _commit(own)
            if signals:
                self._committed(signals)

        self._try_again(attempt)

    def _try_again(self, attempt: Callable[[int], None]) -> None:
        until = time.monotonic() + RETRY_SECONDS_MAX
        for number in range(1, ATTEMPTS_MAX + 1):
            try:
                attempt(number)
                return
            except sqlalchemy.exc.DBAPIError as error:
                again = is_disconnect(error) or is_serialization_failure(error)
                if not again or number == ATTEMPTS_MAX or time.monotonic() > until:
                    raise
                self.retries += 1
            longest = min(BACK_OFF_SECONDS * 2**number, BACK_OFF_SECONDS_MAX)
            time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - jitter, not a secret

    @contextmanager
    def schema_change(self) -> Iterator[sqlalchemy.Connection]:
        """One transaction that may change tables, alone on the server. Blocking."""
        with self._engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{SCHEMA_LOCK_SECONDS_MAX}s'")
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})
            yield connection


def _commit(own: OwnTransaction) -> list[str]:
    try:
        return own.commit()
    except sqlalchemy.exc.DBAPIError as error:
        if is_disconnect(error):
            raise DatabaseUnreachableError(
                "The connection to the database was lost during a commit; it may or may not have happened."
            ) from error
        raise
