"""Reading and appending. Everything here runs inside a transaction of somebody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from runstead.platform.audit.chain import GENESIS, Entry, Stored, link, seal
from runstead.platform.audit.tables import entries, marks
from runstead.platform.storage.sql import signal

#: What listeners of commits are told.
SIGNAL: Final = "audit"

#: Entries read at once while walking the chain.
WALK_ROWS: Final = 1000

_COLUMNS: Final = tuple(column.name for column in entries.c if column.name not in ("seq", "hash"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries; empty fields fit all."""

    actor: str = ""
    #: ``user.create``, or ``user.`` for all that begins so.
    action: str = ""
    resource: str = ""
    outcome: str = ""
    severity: str = ""
    address: str = ""
    request_id: str = ""
    #: RFC 3339, from included, until excluded.
    since: str = ""
    until: str = ""


def append(connection: sa.Connection, key: bytes, entry: Entry) -> int:
    """Add an entry to the end of the chain; returns its number.

    The head is locked first, so that of two who append at once one waits: on SQLite there is one writer anyway, on PostgreSQL
    the second one's transaction is refused and run again.
    """
    head = connection.execute(
        sa.select(marks.c.seq, marks.c.hash).where(marks.c.name == "head").with_for_update()
    ).first()
    seq, previous = (head.seq + 1, head.hash) if head else (1, GENESIS)
    hash_ = link(key, previous, seq, entry)
    facts = {**entry.as_json(), "details": json.dumps(entry.details, sort_keys=True)}
    connection.execute(entries.insert().values(seq=seq, hash=hash_, **facts))
    values = {"seq": seq, "hash": hash_, "seal": seal(key, "head", seq, hash_)}
    if head:
        connection.execute(marks.update().where(marks.c.name == "head").values(**values))
    else:
        connection.execute(marks.insert().values(name="head", **values))
    signal(connection, SIGNAL)
    return seq


def read(
    connection: sa.Connection,
    wanted: Filter,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
) -> list[Stored]:
    """Entries that fit: newest first below ``before``, or oldest first above ``after``."""
    query = entries.select().where(*_conditions(wanted)).limit(limit)
    if after is not None:
        query = query.where(entries.c.seq > after).order_by(entries.c.seq)
    else:
        query = query.order_by(entries.c.seq.desc())
        if before is not None:
            query = query.where(entries.c.seq < before)
    return [_stored(row) for row in connection.execute(query).mappings()]


def _conditions(wanted: Filter) -> Iterator[Any]:
    for name in ("actor", "resource", "outcome", "severity", "address", "request_id"):
        if value := getattr(wanted, name):
            yield entries.c[name] == value
    if wanted.action.endswith("."):
        yield entries.c.action.startswith(wanted.action, autoescape=True)
    elif wanted.action:
        yield entries.c.action == wanted.action
    if wanted.since:
        yield entries.c.at >= wanted.since
    if wanted.until:
        yield entries.c.at < wanted.until


def mark(connection: sa.Connection, name: str) -> tuple[int, str, str] | None:
    """Number, hash and seal of a mark."""
    row = connection.execute(marks.select().where(marks.c.name == name)).first()
    # Number 0 is the end of a trail that has not begun.
    return None if row is None or row.seq == 0 else (row.seq, row.hash, row.seal)


def remove_until(connection: sa.Connection, key: bytes, seq: int, hash_: str) -> int:
    """Remove the entries up to this one, and mark where the chain begins now; returns how many are gone."""
    values = {"seq": seq, "hash": hash_, "seal": seal(key, "checkpoint", seq, hash_)}
    if mark(connection, "checkpoint") is None:
        connection.execute(marks.insert().values(name="checkpoint", **values))
    else:
        connection.execute(marks.update().where(marks.c.name == "checkpoint").values(**values))
    return connection.execute(entries.delete().where(entries.c.seq <= seq)).rowcount


def _stored(row: sa.RowMapping) -> Stored:
    facts = {name: row[name] for name in _COLUMNS}
    try:
        facts["details"] = json.loads(row["details"])
    except ValueError:
        # Somebody has been here; the verification says so.
        facts["details"] = {"unreadable": row["details"]}
    return Stored(seq=row["seq"], entry=Entry(**facts), hash=row["hash"])
