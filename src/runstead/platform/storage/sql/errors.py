"""What can go wrong with a database, and the one place where a driver's error becomes one of ours."""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy import exc

from runstead.kernel.errors import ConflictError, RunsteadError, UnavailableError


class DatabaseError(RunsteadError):
    """The database could not do that."""

    code = "E_DATABASE"


class DatabaseBusyError(UnavailableError, DatabaseError):
    """The database is busy; try again in a moment."""


class DatabaseTimeoutError(UnavailableError, DatabaseError):
    """The database took longer over this than it may."""


class DatabaseClosedError(UnavailableError, DatabaseError):
    """The database is closed: the server is stopping."""


class DatabaseUnreachableError(UnavailableError, DatabaseError):
    """The database cannot be reached."""


class DiskFullError(UnavailableError, DatabaseError):
    """The disk of the database is full."""

    code = "E_DISK_FULL"
    status = 507


class ConstraintError(ConflictError, DatabaseError):
    """That is in conflict with what is already there: a key is taken, or refers to nothing."""


class DatabaseNewerError(DatabaseError):
    """The database was written by a newer version of Runstead."""

    code = "E_DATABASE_NEWER"


_SQLITE_BY_CODE: Final[dict[int, type[DatabaseError]]] = {
    sqlite3.SQLITE_BUSY: DatabaseBusyError,
    sqlite3.SQLITE_LOCKED: DatabaseBusyError,
    sqlite3.SQLITE_FULL: DiskFullError,
    sqlite3.SQLITE_INTERRUPT: DatabaseTimeoutError,
    sqlite3.SQLITE_CANTOPEN: DatabaseUnreachableError,
    sqlite3.SQLITE_IOERR: DatabaseUnreachableError,
}

#: NOT NULL and CHECK are not here: what breaks them is a mistake of ours, never of two clients that meet.
_SQLITE_CONFLICTS: Final = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
}

#: SQLSTATE, or its first two characters (postgresql.org/docs/current/errcodes-appendix.html).
_POSTGRESQL_BY_STATE: Final[dict[str, type[DatabaseError]]] = {
    "23505": ConstraintError,
    "23503": ConstraintError,
    "23P01": ConstraintError,
    "40001": DatabaseBusyError,
    "40P01": DatabaseBusyError,
    "55P03": DatabaseBusyError,
    "57014": DatabaseTimeoutError,
    "53100": DiskFullError,
    "53": DatabaseBusyError,
    "08": DatabaseUnreachableError,
    "57": DatabaseUnreachableError,
}

#: Run the same work again and it may well succeed: serialization_failure and deadlock_detected.
_WORTH_ANOTHER_TRY: Final = {"40001", "40P01"}


def translate(error: BaseException) -> BaseException:
    """Ours for a driver's error, with the driver's as its cause; anything else as it is."""
    kind = _kind(error)
    if kind is None:
        return error
    translated = kind()
    translated.__cause__ = error
    return translated


def is_serialization_failure(error: BaseException) -> bool:
    """Whether PostgreSQL asks for the whole transaction to be run again."""
    return isinstance(error, exc.DBAPIError) and _sqlstate(error) in _WORTH_ANOTHER_TRY


def is_disconnect(error: BaseException) -> bool:
    """Whether the connection to the server was lost, so that a new one may work."""
    return isinstance(error, exc.DBAPIError) and (
        error.connection_invalidated or _kind(error) is DatabaseUnreachableError
    )


def _kind(error: BaseException) -> type[DatabaseError] | None:
    if isinstance(error, exc.TimeoutError):
        return DatabaseBusyError
    if not isinstance(error, exc.DBAPIError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_kind(error.orig)
    state = _sqlstate(error)
    found = _POSTGRESQL_BY_STATE.get(state) or _POSTGRESQL_BY_STATE.get(state[:2])
    if found is not None:
        return found
    # A connection that is refused or cut off has no SQLSTATE.
    if error.connection_invalidated or (isinstance(error, exc.OperationalError) and not state):
        return DatabaseUnreachableError
    return DatabaseError


def _sqlite_kind(error: sqlite3.Error) -> type[DatabaseError]:
    code = getattr(error, "sqlite_errorcode", 0)
    if code in _SQLITE_CONFLICTS:
        return ConstraintError
    return _SQLITE_BY_CODE.get(code & 0xFF, DatabaseError)


def _sqlstate(error: exc.DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
