"""All that is in the database of an app, as lines of JSON: for a backup, or to take it elsewhere."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from runstead.capabilities.apps.database.sessions import AppDatabases, DatabaseSession
from runstead.capabilities.apps.database.tables import quoted

#: Rows that are read at once.
PAGE_ROWS: Final = 500
_TABLES: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
    "postgresql": "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename",
}


async def exported(databases: AppDatabases, app_id: str) -> AsyncIterator[bytes]:
    """``{"table", "columns"}`` and then ``{"row"}`` for each of its rows; one state of all of it, however long that takes."""
    session = DatabaseSession(databases, app_id, dry=True)
    try:
        await session.begin()
        for table in (await session.ours(_TABLES[session.dialect])).rows:
            name, offset = quoted(table[0]), 0
            while True:
                page = f"SELECT * FROM {name} ORDER BY 1 LIMIT {PAGE_ROWS} OFFSET {offset}"  # noqa: S608 - a checked name
                found = await session.ours(page)
                if offset == 0:
                    yield _line({"table": table[0], "columns": list(found.columns)})
                for row in found.rows:
                    yield _line({"row": [_plain(value) for value in row]})
                offset += PAGE_ROWS
                if len(found.rows) < PAGE_ROWS:
                    break
    finally:
        await session.end(False)


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
