"""Another master key, while the server runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import sqlalchemy as sa

from runstead.platform.secrets.keyring import Keyring
from runstead.platform.secrets.tables import keys, versions
from runstead.platform.storage.sql import Database

#: Keys wrapped anew in one transaction.
BATCH_ROWS: Final = 200


def context_of(scope: str, secret_id: str, version: int) -> str:
    """What a wrapped key belongs to, so that one row's cannot be put into another."""
    return f"{scope}\n{secret_id}\n{version}"


async def rewrap(db: Database, keyring: Keyring) -> int:
    """Wrap everything under the present master key; returns how many keys were wrapped anew.

    Safe to stop at any point and to run again: each key is under the one or the other, and the ring knows both.
    """
    total = 0
    for table, context in ((keys, _server_context), (versions, _version_context)):
        while done := await db.write(_batch(keyring, table, context)):
            total += done
    return total


def _server_context(row: Any) -> str:
    return str(row.name)


def _version_context(row: Any) -> str:
    return context_of(row.scope, row.id, row.version)


def _batch(
    keyring: Keyring, table: sa.Table, context: Callable[[Any], str]
) -> Callable[[sa.Connection], int]:
    def work(connection: sa.Connection) -> int:
        old = table.c.master.not_in(("", keyring.current))
        rows = connection.execute(table.select().where(old).limit(BATCH_ROWS)).all()
        for row in rows:
            clear = keyring.unwrap(row.master, bytes(row.wrapped), context(row))
            master, wrapped = keyring.wrap(clear, context(row))
            this = sa.and_(*(column == getattr(row, column.name) for column in table.primary_key))
            connection.execute(table.update().where(this).values(master=master, wrapped=wrapped))
        return len(rows)

    return work
