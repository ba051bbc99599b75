"""SQLite: a file for each app. What lies beyond it cannot be said: the engine's authorizer refuses."""

from __future__ import annotations

import hashlib
import re
import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from runstead.capabilities.apps.database.limits import DatabaseSettings
from runstead.capabilities.apps.database.statements import Result, SqlBusyError, SqlLimitError, numbered, said
from runstead.kernel.limits import KIB, MIB

PAGE_BYTES: Final = 4 * KIB
#: Steps of SQLite's machine between two looks at the clock.
_STEPS: Final = 5000
#: Of one value.
VALUE_BYTES_MAX: Final = 8 * MIB
_PRAGMAS: Final = frozenset({"table_info", "table_xinfo", "index_list", "index_info", "foreign_key_list"})
_REFUSED: Final = frozenset(
    {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT}
)
_FUNCTIONS: Final = frozenset(
    {"load_extension", "fts3_tokenizer", "sqlite_compileoption_get", "randomblob", "zeroblob"}
)
_SAFE: Final = re.compile(r"[a-z0-9_-]{1,64}")


class SqliteConnection:
    """One connection."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self, path: Path, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._is_ours = True
        self._until = 0.0
        self._late = False
        connection = self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=2
        )
        for limit, value in (
            (sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
            (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 200),
            (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 50),
            (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000),
        ):
            connection.setlimit(limit, value)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
            f"max_page_count={settings.bytes_max // PAGE_BYTES}",
            "cache_size=-1024",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.set_authorizer(self._authorize)
        connection.set_progress_handler(self._look, _STEPS)

    def _authorize(
        self, action: int, first: str | None, second: str | None, _database: str | None, _inner: str | None
    ) -> int:
        if self._is_ours:
            return sqlite3.SQLITE_OK
        if action in _REFUSED:
            return sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_PRAGMA:
            return sqlite3.SQLITE_OK if (first or "").lower() in _PRAGMAS else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FUNCTIONS:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def _look(self) -> int:
        self._late = bool(self._until) and time.monotonic() > self._until
        return int(self._late)

    def run(self, sql: str, parameters: Sequence[Any], *, is_reading: bool) -> Result:
        if is_reading:
            self.control("PRAGMA query_only=ON")
        self._is_ours, self._late = False, False
        self._until = time.monotonic() + self._settings.statement_ms / 1000
        try:
            cursor = self._connection.execute(numbered(sql, "?"), tuple(parameters))
            rows = cursor.fetchmany(self._settings.rows_max + 1) if cursor.description else []
            if len(rows) > self._settings.rows_max:
                cursor.close()
                raise SqlLimitError(f"more than {self._settings.rows_max} rows (apps.database.rows_max)")
            columns = [column[0] for column in cursor.description or ()]
            return Result(columns, rows, cursor.rowcount, cursor.lastrowid)
        except sqlite3.Error as error:
            raise self._told(error) from error
        except (OverflowError, ValueError) as error:
            raise said(error) from error
        finally:
            self._is_ours, self._until = True, 0.0
            if is_reading:
                self.control("PRAGMA query_only=OFF")

    def _told(self, error: sqlite3.Error) -> Exception:
        if self._late:
            return SqlLimitError(
                f"the statement took more than {self._settings.statement_ms} ms (apps.database.statement_ms)"
            )
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return SqlBusyError("others change the database")
        if name == "SQLITE_FULL":
            return SqlLimitError(
                f"the database has {self._settings.bytes_max} bytes (apps.database.bytes_max)"
            )
        return said(error)

    def control(self, statement: str) -> None:
        self._is_ours, self._until = True, 0.0
        try:
            self._connection.execute(statement)
        except sqlite3.Error as error:
            raise self._told(error) from error

    @property
    def is_usable(self) -> bool:
        return not self._connection.in_transaction

    def close(self) -> None:
        self._connection.close()


class SqliteDatabases:
    """A folder of files."""

    has_one_writer = True

    def __init__(self, folder: Path, settings: DatabaseSettings) -> None:
        self._folder = folder
        self._settings = settings

    async def prepare(self, app_id: str) -> None:
        return None

    def connect(self, app_id: str) -> SqliteConnection:
        folder = self._of(app_id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return SqliteConnection(folder / "data.db", self._settings)

    def remove(self, app_id: str) -> None:
        shutil.rmtree(self._of(app_id), ignore_errors=True)

    def _of(self, app_id: str) -> Path:
        """An id with slashes, or a long one, is named by its digest: no id leads out of the folder, and no two lead to one."""
        digest = hashlib.sha256(app_id.encode()).hexdigest()[:16]
        readable = app_id if _SAFE.fullmatch(app_id) else ""
        return self._folder / (f"{readable}.{digest}" if readable else digest)
