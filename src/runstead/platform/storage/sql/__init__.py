"""One way to SQLite and PostgreSQL: one grouped writer, pooled readers, migrations, outbox."""

from __future__ import annotations

from runstead.platform.storage.sql.database import Database, DatabaseStats
from runstead.platform.storage.sql.errors import (
    ConstraintError,
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseError,
    DatabaseNewerError,
    DatabaseTimeoutError,
    DatabaseUnreachableError,
    DiskFullError,
)
from runstead.platform.storage.sql.migration import MIGRATIONS, Pending, migrate, pending
from runstead.platform.storage.sql.outbox import Outbox, ParkedEvent
from runstead.platform.storage.sql.signals import signal

__all__ = [
    "MIGRATIONS",
    "ConstraintError",
    "Database",
    "DatabaseBusyError",
    "DatabaseClosedError",
    "DatabaseError",
    "DatabaseNewerError",
    "DatabaseStats",
    "DatabaseTimeoutError",
    "DatabaseUnreachableError",
    "DiskFullError",
    "Outbox",
    "ParkedEvent",
    "Pending",
    "migrate",
    "pending",
    "signal",
]
