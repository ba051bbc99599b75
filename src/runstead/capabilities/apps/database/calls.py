"""What scripts may do with the database of their app."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from runstead.capabilities.apps.database import tables
from runstead.capabilities.apps.database.connections import Connection
from runstead.capabilities.apps.database.sessions import AppDatabases, DatabaseSession
from runstead.capabilities.apps.database.statements import SqlError, checked, values_of
from runstead.capabilities.apps.hostcalls import Calls, Session, text
from runstead.kernel.errors import RunsteadError

#: Steps of one migration.
STEPS_MAX: Final = 500
_NAME: Final = "database"
_SAVEPOINT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_Named = Callable[..., Any]


class DatabaseCalls:
    """``database`` by name and value, ``db`` by SQL: one session for both, so that they see the same transaction."""

    def __init__(self, databases: AppDatabases) -> None:
        self._databases = databases
        self._named: Mapping[str, _Named] = {
            "createTable": tables.create_table,
            "dropTable": tables.drop_table,
            **{
                f"add{kind.title()}Column": _adding(kind)
                for kind in ("integer", "text", "boolean", "timestamp")
            },
            "addReferenceColumn": tables.add_reference,
            "dropColumn": tables.drop_column,
            "query": tables.query,
            "insert": tables.insert,
            "update": tables.update,
            "delete": tables.delete,
            "upsert": tables.upsert,
            "deleteWhere": tables.delete_where,
            "addUniqueIndex": tables.add_unique_index,
            "createLeaseTable": tables.create_lease_table,
            "acquireLease": _acquire_lease,
        }
        self._controlling: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "beginTransaction": _begin,
            "commitTransaction": _commit,
            "rollbackTransaction": _rollback,
            "createSavepoint": _savepoint,
            "rollbackToSavepoint": partial(_to_savepoint, release=False),
            "releaseSavepoint": partial(_to_savepoint, release=True),
            "generateGraphQLForTable": _graphql,
        }

    def calls(self) -> Calls:
        return {
            "database": self._by_name,
            "sql": self._by_sql,
            "sql.begin": self._begin,
            "sql.commit": self._commit,
            "sql.rollback": self._rollback,
            "sql.migrate": self._migrate,
            "sql.versioned": self._versioned,
        }

    def session_of(self, session: Session) -> DatabaseSession:
        """The one of an invocation, which ends with it."""
        kept = session.kept.get(_NAME)
        if kept is None:
            kept = DatabaseSession(self._databases, session.caller.app_id, dry=session.dry)
            session.kept[_NAME] = kept
            session.endings.append(kept.end)
        assert isinstance(kept, DatabaseSession)  # noqa: S101 - put there above
        return kept

    async def _by_name(self, session: Session, name: str, values: list[Any]) -> Any:
        own = self.session_of(session)
        try:
            if (control := self._controlling.get(name)) is not None:
                return await control(own, *values)
            act = self._named.get(name)
            if act is None:
                raise SqlError(f"database has no {name[:64]}")
            return await own.together(partial(_acting, act, values))
        except RunsteadError as error:
            return {"error": error.message}

    async def _by_sql(
        self, session: Session, how: str, sql: str, parameters: Any, number: int
    ) -> dict[str, Any]:
        own = self._in(session, number)
        result = await own.run(text(sql), values_of(parameters), is_reading=how == "query")
        if how == "query":
            return {"rows": result.as_dicts()}
        told: dict[str, Any] = {"changes": max(0, result.changed)}
        if result.columns:
            told["rows"] = result.as_dicts()
        if result.last_id is not None:
            told["lastInsertId"] = result.last_id
        return told

    def _in(self, session: Session, number: int) -> DatabaseSession:
        own = self.session_of(session)
        if number and not (own.is_open and own.number == number):
            raise SqlError("the transaction is over")
        if not number and own.is_open and not session.dry:
            raise SqlError("a transaction is open: use what it was given")
        return own

    async def _begin(self, session: Session) -> int:
        return await self.session_of(session).begin()

    async def _commit(self, session: Session, number: int) -> None:
        await self._in(session, number).commit()

    async def _rollback(self, session: Session, number: int) -> None:
        own = self.session_of(session)
        if own.is_open and own.number == number:
            await own.rollback()

    async def _migrate(self, session: Session, steps: Any) -> dict[str, int]:
        """Take the steps that were not taken yet, in order, all or none. A step is known by its place."""
        if not isinstance(steps, list) or len(steps) > STEPS_MAX:
            raise SqlError(f"migrate takes a list of up to {STEPS_MAX} statements")
        statements = [checked(text(step), ()) for step in steps]

        def work(on: Connection) -> dict[str, int]:
            on.run(
                'CREATE TABLE IF NOT EXISTS "_migrations" ("step" INTEGER PRIMARY KEY)', (), is_reading=False
            )
            if on.dialect == "postgresql":
                on.run('LOCK TABLE "_migrations" IN ACCESS EXCLUSIVE MODE', (), is_reading=False)
            known = on.run('SELECT count(*) FROM "_migrations"', (), is_reading=False).rows[0][0]
            for number in range(known, len(statements)):
                on.run(statements[number], (), is_reading=False)
                on.run('INSERT INTO "_migrations" ("step") VALUES (?)', [number], is_reading=False)
            return {"taken": max(0, len(statements) - known), "version": max(known, len(statements))}

        return await self.session_of(session).together(work)

    async def _versioned(
        self, session: Session, table: str, row: Any, changes: dict[str, Any], number: int
    ) -> dict[str, Any]:
        """Change a row that still has the version that was read; else the row as it is now."""
        name = tables.quoted(table)
        if not isinstance(row, dict) or not isinstance(row.get("version"), int) or "id" not in row:
            raise SqlError("a row with an id and a version is needed")

        def work(on: Connection) -> dict[str, Any]:
            current = tables.query(on, table, {"id": row["id"]}, 1)
            if not current or current[0]["version"] != row["version"]:
                return {"current": current[0] if current else None}
            raised = {key: value for key, value in changes.items() if key not in ("id", "version")}
            done = on.run(
                f'UPDATE {name} SET "version" = "version" + 1 WHERE "id" = ? AND "version" = ?',  # noqa: S608
                [row["id"], row["version"]],
                is_reading=False,
            )
            if not done.changed:
                return {"current": current[0]}
            return {
                "row": tables.update(on, table, row["id"], raised)
                if raised
                else tables.query(on, table, {"id": row["id"]}, 1)[0]
            }

        return await self._in(session, number).together(work)


def _acting(act: _Named, values: list[Any], on: Connection) -> Any:
    try:
        return act(on, *values)
    except TypeError as error:
        raise SqlError("other arguments are needed") from error


def _acquire_lease(on: Connection, table: str, lease: Any, owner: Any, ttl_ms: Any) -> Any:
    return tables.acquire_lease(on, table, lease, owner, ttl_ms, int(time.time() * 1000))


def _adding(kind: str) -> _Named:
    return lambda on, *values: tables.add_column(on, kind, *values)


async def _begin(own: DatabaseSession, timeout_ms: Any = None) -> dict[str, Any]:
    if timeout_ms is not None and (not isinstance(timeout_ms, int | float) or timeout_ms <= 0):
        raise SqlError("a time in milliseconds is needed")
    await own.begin(timeout_ms)
    return {"success": True}


async def _commit(own: DatabaseSession) -> dict[str, Any]:
    await own.commit()
    return {"success": True}


async def _rollback(own: DatabaseSession) -> dict[str, Any]:
    await own.rollback()
    return {"success": True}


async def _savepoint(own: DatabaseSession, name: Any = None) -> dict[str, Any]:
    name = name or f"sp_{time.monotonic_ns()}"
    await own.savepoint(_named(name))
    return {"success": True, "savepoint": name}


async def _to_savepoint(own: DatabaseSession, name: Any, *, release: bool) -> dict[str, Any]:
    await own.to_savepoint(_named(name), release=release)
    return {"success": True, "savepoint": name}


async def _graphql(own: DatabaseSession, table: Any, _options: Any = None) -> dict[str, Any]:
    """The names of the operations; they are served with GraphQL itself."""
    name = str(table)
    tables.quoted(name)
    upper = name[:1].upper() + name[1:]
    return {
        "success": True,
        "queries": [name, f"{name}ById"],
        "mutations": [f"create{upper}", f"update{upper}", f"delete{upper}"],
    }


def _named(name: Any) -> str:
    if not isinstance(name, str) or not _SAVEPOINT.fullmatch(name):
        raise SqlError(f"{str(name)[:64]!r} is no name of a savepoint")
    return name
