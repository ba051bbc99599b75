"""Events, receipts and the state of maintenance in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from runstead.capabilities.logs import search
from runstead.capabilities.logs.fingerprint import GROUP_VERSION
from runstead.capabilities.logs.masking import masked
from runstead.capabilities.logs.model import Cursor, Level, NewEvent, Query, StoredEvent
from runstead.capabilities.logs.ports import Masker
from runstead.capabilities.logs.tables import STATE_ID, events, metadata, projects, receipts, state
from runstead.platform.storage.sql import Database

_EVENT_FIELDS: Final = (
    "id",
    "ts",
    "level",
    "message",
    "source",
    "env",
    "context",
    "fingerprint",
    "group",
    "request_id",
    "user_id",
    "tags",
)
_values_of = attrgetter(*_EVENT_FIELDS)
_columns: Final = ["issue" if name == "group" else name for name in _EVENT_FIELDS]

# By the driver: what SQLAlchemy does for each row of an insert costs as much as SQLite itself.
_INSERT: Final = (
    f"INSERT INTO logs_events ({', '.join(_columns)}, project_id, created_at, issue_version) VALUES "  # noqa: S608 - constants
    f"({', '.join(['{0}'] * (len(_columns) + 3))})"
)
_INSERT_BY_DIALECT: Final = {"sqlite": _INSERT.format("?"), "postgresql": _INSERT.format("%s")}

_SELECTED: Final = [
    events.c.seq,
    projects.c.slug,
    events.c.created_at,
    *(events.c[name] for name in _columns),
]

#: The tables are in a module of their own; whoever checks the migrations finds them here.
__all__ = ["metadata"]


@dataclass(frozen=True, slots=True)
class Replay:
    """A batch that was stored before, under the same idempotency key."""

    answer: Mapping[str, Any]
    same_body: bool


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What makes a batch the same batch."""

    key: str
    body_hash: str
    #: Receipts from before are forgotten.
    since: int

    @classmethod
    def of(cls, key: str, body: bytes, since: int) -> Idempotency:
        return cls(key, hashlib.sha256(body).hexdigest(), since)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceState:
    """What is known of maintenance. Times in microseconds."""

    started_at: int | None
    finished_at: int | None
    held_until: int
    last_error: str | None
    last_report: Mapping[str, Any] | None


class EventStore:
    """Events of all projects."""

    def __init__(self, db: Database, masker: Masker | None = None) -> None:
        self._db = db
        self._masker = masker

    @property
    def has_own_index(self) -> bool:
        """Whether the search index must be brought up to date by :meth:`index_more`."""
        return self._db.dialect == "sqlite"

    async def add(
        self,
        project_id: int,
        new: Sequence[NewEvent],
        *,
        created_at: int,
        answer: Mapping[str, Any] | None = None,
        idempotency: Idempotency | None = None,
    ) -> Replay | None:
        """Store a batch, durably, with its receipt.

        :returns: the earlier batch with this idempotency key; then nothing was stored.
        """
        if self._masker is not None:
            new = [masked(event, self._masker) for event in new]
        rows = [(*_values_of(event), project_id, created_at, GROUP_VERSION) for event in new]
        statement = _INSERT_BY_DIALECT[self._db.dialect]

        def work(connection: sa.Connection) -> Replay | None:
            if idempotency is not None:
                replay = _claim(connection, project_id, idempotency, answer or {}, created_at)
                if replay is not None:
                    return replay
            if rows:
                connection.exec_driver_sql(statement, rows)
            return None

        return await self._db.write(work)

    async def replay_of(self, project_id: int, idempotency: Idempotency) -> Replay | None:
        """The earlier batch with this key, if there is one."""
        return await self._db.read(lambda connection: _replay(connection, project_id, idempotency))

    async def page(self, query: Query) -> tuple[list[StoredEvent], Cursor | None]:
        """Events that match, and where the next page begins."""
        statement = _select(query, self._db.dialect)
        rows = await self._db.read(lambda connection: connection.execute(statement).all())
        found = [StoredEvent(row[0], row[1], row[2], NewEvent(*row[3:])) for row in rows]
        if len(found) <= query.limit:
            return found, None
        last = found[query.limit - 1]
        return found[: query.limit], Cursor(last.event.ts, last.seq)

    async def index_more(self, rows_max: int) -> search.Progress:
        """Bring the search index closer to the newest event."""
        return await self._db.write(lambda connection: search.index_more(connection, rows_max))

    async def tidy_index(self, pages: int) -> None:
        """Merge a little of the search index."""
        await self._db.write(lambda connection: search.tidy(connection, pages))

    async def delete_older(self, project_id: int, before: int, rows_max: int) -> int:
        """Delete some events that were received before a moment; how many."""
        old = (
            sa.select(events.c.seq)
            .where(events.c.project_id == project_id, events.c.created_at < before)
            .order_by(events.c.created_at)
            .limit(rows_max)
        )

        def work(connection: sa.Connection) -> int:
            seqs = connection.execute(old).scalars().all()
            if seqs:
                search.forget(connection, seqs)
                connection.execute(sa.delete(events).where(events.c.seq.in_(seqs)))
            return len(seqs)

        return await self._db.write(work)

    async def delete_receipts(self, before: int, rows_max: int) -> int:
        """Delete some receipts from before a moment; how many."""
        old = (
            sa.select(receipts.c.project_id, receipts.c.key)
            .where(receipts.c.created_at < before)
            .order_by(receipts.c.created_at)
            .limit(rows_max)
        )

        def work(connection: sa.Connection) -> int:
            keys = [tuple(row) for row in connection.execute(old)]
            if keys:
                pair = sa.tuple_(receipts.c.project_id, receipts.c.key)
                connection.execute(sa.delete(receipts).where(pair.in_(keys)))
            return len(keys)

        return await self._db.write(work)


def _claim(
    connection: sa.Connection, project_id: int, asked: Idempotency, answer: Mapping[str, Any], now: int
) -> Replay | None:
    """Take an idempotency key, or find what was stored with it."""
    mine = (receipts.c.project_id == project_id) & (receipts.c.key == asked.key)
    connection.execute(sa.delete(receipts).where(mine, receipts.c.created_at < asked.since))
    claimed = connection.execute(
        _insert_of(connection)(receipts)
        .values(
            project_id=project_id,
            key=asked.key,
            body_hash=asked.body_hash,
            answer=msgspec.json.encode(answer).decode(),
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(receipts.c.key)
    ).first()
    return None if claimed is not None else _replay(connection, project_id, asked)


def _insert_of(connection: sa.Connection) -> Callable[[sa.Table], Any]:
    """Each database's own. Only the one that is used is loaded: PostgreSQL's takes 3 MB of an idle server on SQLite."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert

        return insert
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert


def _replay(connection: sa.Connection, project_id: int, asked: Idempotency) -> Replay | None:
    row = connection.execute(
        sa.select(receipts.c.answer, receipts.c.body_hash).where(
            receipts.c.project_id == project_id,
            receipts.c.key == asked.key,
            receipts.c.created_at >= asked.since,
        )
    ).first()
    return None if row is None else Replay(msgspec.json.decode(row.answer), row.body_hash == asked.body_hash)


def _select(query: Query, dialect: str) -> sa.Select[Any]:
    order = (events.c.ts, events.c.seq)
    statement = (
        sa.select(*_SELECTED)
        .join(projects, projects.c.id == events.c.project_id)
        .where(projects.c.deleted_at.is_(None), *_conditions(query, dialect))
        # One more than asked for shows whether there is another page.
        .limit(query.limit + 1)
    )
    if query.q:
        statement = statement.where(search.matches(dialect, query.q))
    if query.cursor is not None:
        place = sa.tuple_(
            sa.literal(query.cursor.ts, sa.BigInteger), sa.literal(query.cursor.seq, sa.BigInteger)
        )
        here = sa.tuple_(*order)
        statement = statement.where(here > place if query.order == "asc" else here < place)
    return statement.order_by(*(order if query.order == "asc" else [column.desc() for column in order]))


def _conditions(query: Query, dialect: str) -> list[sa.ColumnElement[bool]]:
    column = events.c
    exact = {
        "project_id": query.project_id,
        "source": query.source,
        "env": query.env,
        "fingerprint": query.fingerprint,
        "issue": query.group,
        "request_id": query.request_id,
        "user_id": query.user_id,
    }
    conditions: list[sa.ColumnElement[bool]] = [
        column[name] == value for name, value in exact.items() if value is not None
    ]
    if query.projects is not None:
        conditions.append(column.project_id.in_(query.projects))
    if query.levels:
        conditions.append(column.level.in_([int(level) for level in query.levels]))
    if query.min_level is not None and query.min_level > Level.DEBUG:
        conditions.append(column.level >= int(query.min_level))
    if query.since is not None:
        conditions.append(column.ts >= query.since)
    if query.until is not None:
        conditions.append(column.ts < query.until)
    conditions += [search.holds(dialect, column.tags, f",{tag},") for tag in query.tags]
    return conditions


class StateStore:
    """The one row that says how maintenance is."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self) -> MaintenanceState:
        """How it is."""
        columns = (
            state.c.started_at,
            state.c.finished_at,
            state.c.held_until,
            state.c.last_error,
            state.c.last_report,
        )
        row = await self._db.read(lambda connection: connection.execute(sa.select(*columns)).one())
        return MaintenanceState(
            started_at=row.started_at,
            finished_at=row.finished_at,
            held_until=row.held_until,
            last_error=row.last_error,
            last_report=None if row.last_report is None else msgspec.json.decode(row.last_report),
        )

    async def take(self, *, now: int, until: int, not_since: int | None) -> bool:
        """Begin maintenance, unless another process does it, or it was begun after ``not_since``."""
        free = [state.c.id == STATE_ID, state.c.held_until <= now]
        if not_since is not None:
            free.append(sa.or_(state.c.started_at.is_(None), state.c.started_at <= not_since))
        begin = sa.update(state).where(*free).values(started_at=now, held_until=until)
        return await self._db.write(lambda connection: connection.execute(begin).rowcount == 1)

    async def release(self, *, now: int, error: str | None, report: Mapping[str, Any]) -> None:
        """End maintenance."""
        end = (
            sa.update(state)
            .where(state.c.id == STATE_ID)
            .values(
                finished_at=now,
                held_until=0,
                last_error=error,
                last_report=msgspec.json.encode(report).decode(),
            )
        )
        await self._db.write(lambda connection: connection.execute(end).rowcount)
