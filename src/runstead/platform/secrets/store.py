"""Reading secrets' rows. Everything here runs inside a transaction of somebody else's."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from runstead.kernel.clock import parse_rfc3339
from runstead.platform.secrets.model import SecretEntry, named
from runstead.platform.secrets.tables import items, uses, versions


def remove_scope(connection: sa.Connection, scope: str) -> None:
    """An app is gone: its secrets must not become those of the next one of that name."""
    for table in (uses, versions, items):
        connection.execute(table.delete().where(table.c.scope == scope))


PRESENT: Final = sa.select(versions, items.c.expires_at).select_from(
    versions.join(items, (items.c.scope == versions.c.scope) & (items.c.id == versions.c.id))
)
_used = (
    sa.select(
        uses.c.scope,
        uses.c.id,
        sa.func.sum(uses.c.count).label("uses"),
        sa.func.max(uses.c.used_at).label("used_at"),
    )
    .group_by(uses.c.scope, uses.c.id)
    .subquery()
)
SELECT: Final = sa.select(items, _used.c.uses, _used.c.used_at).select_from(
    items.outerjoin(_used, (items.c.scope == _used.c.scope) & (items.c.id == _used.c.id))
)


def is_(table: sa.Table, scope: str, secret_id: str) -> sa.ColumnElement[bool]:
    return (table.c.scope == scope) & (table.c.id == secret_id)


def find(connection: sa.Connection, scope: str, secret_id: str) -> SecretEntry | None:
    row = connection.execute(SELECT.where(is_(items, scope, secret_id))).first()
    return None if row is None else entry_of(row)


def need(connection: sa.Connection, scope: str, secret_id: str) -> SecretEntry:
    entry = find(connection, scope, secret_id)
    if entry is None:
        raise named([scope], secret_id)
    return entry


def entry_of(row: sa.Row[Any]) -> SecretEntry:
    return SecretEntry(
        scope=row.scope,
        id=row.id,
        description=row.description,
        version=row.version,
        created_at=parse_rfc3339(row.created_at),
        created_by=row.created_by,
        updated_at=parse_rfc3339(row.updated_at),
        expires_at=parse_rfc3339(row.expires_at) if row.expires_at else None,
        used_at=parse_rfc3339(row.used_at) if row.used_at else None,
        uses=int(row.uses or 0),
    )
