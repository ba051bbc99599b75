"""Transactions that only their owner ends: a work neither commits nor rolls back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy
from sqlalchemy import event

from runstead.platform.storage.sql.signals import take_signals

_KEY: Final = "runstead.ending"


class OwnTransaction:
    """A transaction and the right to commit it. Made by :func:`transaction`."""

    def __init__(self, connection: sqlalchemy.Connection) -> None:
        self.connection = connection
        self._info = connection.info
        # When this fails, the connection rolls back as it is closed, which is no misuse.
        self._info[_KEY] = True
        self._begun = connection.begin()
        self._info[_KEY] = False
        self._driver: Any = connection.connection.dbapi_connection

    @property
    def intact(self) -> bool:
        """Whether it still holds what was done in it. SQLite only: some of its errors roll back everything."""
        return self._begun.is_active and bool(self._driver.in_transaction)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what was done in this block when it raises, as far as the transaction is still :attr:`intact`. SQLite only.

        Through the driver: SQLAlchemy's savepoints are compiled anew each time, which costs more than an insert.
        """
        self._driver.execute("SAVEPOINT work").close()
        try:
            yield
            if self.connection.in_nested_transaction():
                raise RuntimeError("a work has left a savepoint of its own open")
            self._driver.execute("RELEASE work").close()
        except BaseException:
            if self.intact:
                while (nested := self.connection.get_nested_transaction()) is not None:
                    nested.close()
                self._driver.execute("ROLLBACK TO work").close()
                self._driver.execute("RELEASE work").close()
            raise

    def commit(self) -> list[str]:
        """Commit; returns the signals that its works asked for."""
        self._info[_KEY] = True
        try:
            self._begun.commit()
        finally:
            self._info[_KEY] = False
        return take_signals(self._info)

    def close(self) -> None:
        """Undo what was not committed.

        SQLAlchemy takes a transaction for ended once a commit was tried, and would hand its connection back to the
        pool as it is; after one that failed, the database's own transaction may still be open. So the driver is told too.
        """
        take_signals(self._info)
        self._info[_KEY] = True
        try:
            self._begun.close()
            self._driver.rollback()
        except Exception:  # noqa: BLE001 - a connection that cannot roll back is thrown away, which does it as well
            self.connection.invalidate()
        finally:
            self._info[_KEY] = False


@contextmanager
def transaction(engine: sqlalchemy.Engine) -> Iterator[OwnTransaction]:
    """A transaction on an engine that is under :func:`guard`; undone at the end unless it was committed."""
    with engine.connect() as connection:
        own = OwnTransaction(connection)
        try:
            yield own
        finally:
            own.close()


def guard(engine: sqlalchemy.Engine) -> None:
    """Refuse every commit and rollback on this engine but those of an :class:`OwnTransaction`."""
    event.listen(engine, "commit", _refuse)
    event.listen(engine, "rollback", _refuse)


def _refuse(connection: sqlalchemy.Connection) -> None:
    if not connection.info.get(_KEY):
        raise RuntimeError(
            "a work neither commits nor rolls back: others may share its transaction; to undo, raise"
        )
