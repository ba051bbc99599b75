"""PostgreSQL: a schema for each app, and a role that owns nothing else. It logs in as itself: there is no way back to another."""

from __future__ import annotations

import hashlib
import secrets as randomness
import threading
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

import psycopg
from psycopg import sql as build
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from runstead.capabilities.apps.database.limits import DatabaseSettings
from runstead.capabilities.apps.database.statements import (
    Result,
    SqlBusyError,
    SqlError,
    SqlLimitError,
    numbered,
    said,
)
from runstead.capabilities.apps.ports import Secrets
from runstead.kernel.errors import NotFoundError, UnavailableError
from runstead.kernel.secret import Secret

#: Scope of the roles' passwords in the vault; no app's.
SCOPE: Final = "apps-database"
#: With these a statement could change its session, or spell words that are looked for.
_REFUSED: Final = ("set_config", 'u&"', "dblink", "lo_import", "lo_export")


class PostgresConnection:
    """One connection, as the role of the app."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self, dsn: str, schema: str, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._schema = schema
        self._connection: psycopg.Connection[Any] = psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=5,
            options=f"-c search_path={schema} -c statement_timeout={settings.statement_ms} -c lock_timeout={settings.wait_ms}"
            " -c idle_in_transaction_session_timeout=60000",
        )

    def run(self, sql: str, parameters: Sequence[Any], *, is_reading: bool) -> Result:
        lowered = sql.lower()
        for word in _REFUSED:
            if word in lowered:
                raise SqlError(f"{word} is nothing that an app may say to its database")
        is_alone = (
            is_reading and self._connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        )
        if is_alone:
            self.control("BEGIN READ ONLY")
        try:
            with psycopg.RawCursor(self._connection) as cursor:
                # Prepared: the protocol then takes one statement only.
                cursor.execute(numbered(sql, "$"), list(parameters), prepare=True)  # type: ignore[arg-type, unused-ignore]
                rows = cursor.fetchmany(self._settings.rows_max + 1) if cursor.description else []
                if len(rows) > self._settings.rows_max:
                    raise SqlLimitError(f"more than {self._settings.rows_max} rows (apps.database.rows_max)")
                columns = [column.name for column in cursor.description or ()]
                return Result(columns, [[_plain(value) for value in row] for row in rows], cursor.rowcount)
        except psycopg.Error as error:
            raise self._told(error) from error
        finally:
            if is_alone and not self._connection.closed:
                self.control("ROLLBACK")

    def _told(self, error: psycopg.Error) -> Exception:
        if isinstance(error, psycopg.errors.QueryCanceled):
            return SqlLimitError(
                f"the statement took more than {self._settings.statement_ms} ms (apps.database.statement_ms)"
            )
        if isinstance(
            error,
            psycopg.errors.LockNotAvailable
            | psycopg.errors.SerializationFailure
            | psycopg.errors.DeadlockDetected,
        ):
            return SqlBusyError("others change the database")
        if isinstance(error, psycopg.OperationalError) and self._connection.closed:
            return UnavailableError("the database cannot be reached")
        return said(error)

    def control(self, statement: str) -> None:
        try:
            self._connection.execute(statement)  # type: ignore[call-overload, unused-ignore]
        except psycopg.Error as error:
            raise self._told(error) from error

    @property
    def is_usable(self) -> bool:
        return (
            not self._connection.closed
            and self._connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        )

    def close(self) -> None:
        self._connection.close()


class PostgresDatabases:
    """Schemas in the server's own database. Its account has to be allowed to create roles."""

    has_one_writer = False

    def __init__(self, url: str, settings: DatabaseSettings, *, secrets: Secrets | None) -> None:
        """:param url: of the server's own, in the way of SQLAlchemy."""
        self._dsn = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._settings = settings
        self._secrets = secrets
        self._passwords: dict[str, str] = {}
        self._making = threading.Lock()

    async def prepare(self, app_id: str) -> None:
        """The role's password: from the vault, where other servers find the same one."""
        if app_id in self._passwords:
            return
        name = self._name(app_id)
        if self._secrets is None:
            self._passwords[app_id] = randomness.token_urlsafe(24)
            return
        try:
            found = await self._secrets.use(name, used_by="server:apps", scopes=(SCOPE,))
        except NotFoundError:
            found = Secret(randomness.token_urlsafe(24))
            await self._secrets.put(name, found, scope=SCOPE)
        self._passwords[app_id] = found.reveal()

    def connect(self, app_id: str) -> PostgresConnection:
        name = self._name(app_id)
        parts: dict[str, Any] = {
            **conninfo_to_dict(self._dsn),
            "user": name,
            "password": self._passwords[app_id],
        }
        dsn = make_conninfo(**{key: value for key, value in parts.items() if value is not None})
        try:
            return self._checked(dsn, name)
        except (psycopg.OperationalError, SqlError):
            with self._making:
                self._make(name, self._passwords[app_id])
            try:
                return self._checked(dsn, name)
            except psycopg.OperationalError as error:
                raise UnavailableError("the database of the app cannot be reached") from error

    def _checked(self, dsn: str, name: str) -> PostgresConnection:
        connection = PostgresConnection(dsn, name, self._settings)
        found = connection.run("select 1 from pg_namespace where nspname = $1", [name], is_reading=True)
        if not found.rows:
            connection.close()
            raise SqlError("there is no schema")
        return connection

    def _make(self, name: str, password: str) -> None:
        role = build.Identifier(name)
        try:
            with psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
                exists = connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
                verb = build.SQL("ALTER" if exists else "CREATE")
                connection.execute(
                    build.SQL(
                        "{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT PASSWORD {}"
                    ).format(verb, role, build.Literal(password))
                )
                connection.execute(build.SQL("GRANT {} TO CURRENT_USER").format(role))
                connection.execute(
                    build.SQL("CREATE SCHEMA IF NOT EXISTS {0} AUTHORIZATION {0}").format(role)
                )
        except psycopg.Error as error:
            reason = str(error).split("\n", 1)[0]
            raise UnavailableError(
                f"the database of the app cannot be made: {reason} (the server's account has to be allowed to create roles)"
            ) from error

    def remove(self, app_id: str) -> None:
        name = self._name(app_id)
        role = build.Identifier(name)
        with psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
            if connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone():
                connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [name]
                )
                connection.execute(build.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(role))
                connection.execute(build.SQL("DROP OWNED BY {}").format(role))
                connection.execute(build.SQL("DROP ROLE {}").format(role))

    def _name(self, app_id: str) -> str:
        """Of the schema and the role. Roles are of the whole cluster, so the database is in it."""
        database = conninfo_to_dict(self._dsn).get("dbname") or ""
        return f"app_{hashlib.sha256(f'{database}/{app_id}'.encode()).hexdigest()[:24]}"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value
