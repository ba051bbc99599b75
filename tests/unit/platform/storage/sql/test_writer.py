"""The grouped SQLite writer when things go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from runstead.platform.storage.sql import (
    ConstraintError,
    Database,
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseError,
    DatabaseTimeoutError,
    DatabaseUnreachableError,
    DiskFullError,
    writer,
)
from runstead.platform.storage.sql.sqlite import SqliteBackend

ENDLESS_INSERT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO things SELECT i + 1000, '' FROM n"


@pytest.fixture
async def db(sqlite_url: str) -> AsyncIterator[Database]:
    async with Database(sqlite_url, work_seconds_max=0.3) as opened:
        await opened.change_schema(
            lambda c: c.exec_driver_sql("CREATE TABLE things (id INTEGER PRIMARY KEY, value TEXT)").close()
        )
        yield opened


def sql(statement: str) -> Any:
    def work(connection: sa.Connection) -> int:
        return connection.exec_driver_sql(statement).rowcount

    return work


def insert(number: int, value: str = "") -> Any:
    return sql(f"INSERT INTO things VALUES ({number}, '{value}')")


async def numbers(db: Database) -> list[int]:
    return await db.read(lambda c: list(c.exec_driver_sql("SELECT id FROM things ORDER BY id").scalars()))


@contextlib.asynccontextmanager
async def held_up(db: Database) -> AsyncIterator[None]:
    """What is written inside this block waits together, behind a work that ends with the block."""
    began, go_on = threading.Event(), threading.Event()

    def work(_: sa.Connection) -> None:
        began.set()
        go_on.wait(10)

    holding = asyncio.create_task(db.write(work))
    await asyncio.to_thread(began.wait, 10)
    try:
        yield
        await asyncio.sleep(0)
    finally:
        go_on.set()
        await asyncio.gather(holding, return_exceptions=True)


async def all_of(writes: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*writes, return_exceptions=True)


async def test_works_that_wait_share_one_commit(db: Database) -> None:
    async with held_up(db):
        writes = [asyncio.create_task(db.write(insert(number))) for number in range(64)]
    await all_of(writes)
    stats = db.stats()
    assert stats.writes == 65
    # Taking more is stopped by the time that holding up took, so there may be one group for it and one for the rest.
    assert stats.groups <= 2


async def test_a_group_is_not_larger_than_its_maximum(db: Database) -> None:
    async with held_up(db):
        writes = [
            asyncio.create_task(db.write(insert(number))) for number in range(3 * writer.GROUP_WORKS_MAX)
        ]
    await all_of(writes)
    assert db.stats().groups >= 3


async def test_a_full_queue_refuses_with_busy_and_takes_again_later(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "WAITING_WORKS_MAX", 5)
    async with held_up(db):
        writes = [asyncio.create_task(db.write(insert(number))) for number in range(8)]
    results = await all_of(writes)
    assert [type(one) for one in results] == [int] * 5 + [DatabaseBusyError] * 3
    assert results[-1].status == 503
    assert results[-1].headers["Retry-After"] == "1"
    assert db.stats().writes_refused == 3
    await db.write(insert(9))


async def test_a_work_whose_waiter_has_gone_before_its_turn_is_dropped(db: Database) -> None:
    async with held_up(db):
        write = asyncio.create_task(db.write(insert(1)))
        await asyncio.sleep(0)
        write.cancel()
    await db.write(insert(2))
    assert await numbers(db) == [2]


async def test_a_work_that_takes_the_whole_transaction_down_hurts_nobody_else(db: Database) -> None:
    """An interrupted INSERT makes SQLite roll back everything, savepoints or not."""
    async with held_up(db):
        writes = [asyncio.create_task(db.write(work)) for work in (insert(1), sql(ENDLESS_INSERT), insert(2))]
    results = await all_of(writes)
    assert isinstance(results[1], DatabaseTimeoutError)
    assert results[::2] == [1, 1]
    assert await numbers(db) == [1, 2]


async def test_a_full_disk_fails_the_work_that_needs_room_and_hurts_nobody_else(db: Database) -> None:
    await db.write(sql("PRAGMA max_page_count = 10"))
    async with held_up(db):
        writes = [
            asyncio.create_task(db.write(work)) for work in (insert(1), insert(2, "x" * 100_000), insert(3))
        ]
    results = await all_of(writes)
    assert isinstance(results[1], DiskFullError)
    assert results[1].status == 507
    assert await numbers(db) == [1, 3]


async def test_a_constraint_that_only_the_commit_checks_fails_its_own_work_alone(db: Database) -> None:
    await db.change_schema(
        sql("CREATE TABLE parts (thing INTEGER REFERENCES things (id) DEFERRABLE INITIALLY DEFERRED)")
    )
    async with held_up(db):
        writes = [
            asyncio.create_task(db.write(work))
            for work in (insert(1), sql("INSERT INTO parts VALUES (7)"), insert(2))
        ]
    results = await all_of(writes)
    assert isinstance(results[1], ConstraintError)
    assert await numbers(db) == [1, 2]


async def test_a_commit_that_fails_fails_all_works_in_it_and_the_next_one_is_clean(db: Database) -> None:
    backend = db._backend
    assert isinstance(backend, SqliteBackend)

    def broken(_: sa.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    async with held_up(db):
        writes = [asyncio.create_task(db.write(work)) for work in (insert(1), insert(2))]
        event.listen(backend.writer._engine, "commit", broken)
    assert [str(one) for one in await all_of(writes)] == ["disk I/O error"] * 2
    event.remove(backend.writer._engine, "commit", broken)
    assert await numbers(db) == []
    await db.write(insert(3))
    assert await numbers(db) == [3]


async def test_a_commit_that_the_database_refuses_leaves_the_next_one_clean(db: Database) -> None:
    """SQLAlchemy gives the connection back to its pool as it is after that: with the transaction still open."""
    await db.change_schema(
        sql("CREATE TABLE parts (thing INTEGER REFERENCES things (id) DEFERRABLE INITIALLY DEFERRED)")
    )
    for _ in range(2):
        with pytest.raises(ConstraintError):
            await db.write(sql("INSERT INTO parts VALUES (7)"))
    await db.write(insert(1))
    assert await numbers(db) == [1]


@contextlib.contextmanager
def locked_by_another(db: Database) -> Iterator[None]:
    assert db.path is not None
    with contextlib.closing(sqlite3.connect(db.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_a_write_lock_of_another_process_is_waited_for_once_and_not_by_each(db: Database) -> None:
    await db.write(sql("PRAGMA busy_timeout = 200"))
    with locked_by_another(db):
        async with asyncio.timeout(5):
            results = await all_of([asyncio.create_task(db.write(insert(number))) for number in range(50)])
    assert {type(one) for one in results} == {DatabaseBusyError}
    await db.write(insert(1))


async def test_what_cannot_be_finished_before_the_deadline_of_closing_is_refused_and_not_lost(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CLOSE_SECONDS_MAX", 0.1)
    async with held_up(db):
        write = asyncio.create_task(db.write(insert(1)))
        await asyncio.sleep(0)
        await db.__aexit__(None, None, None)
        with pytest.raises(DatabaseClosedError):
            await write


@pytest.mark.parametrize(
    ("pragma", "of_writer", "of_reader"),
    [
        ("journal_mode", "wal", "wal"),
        ("synchronous", 2, 2),
        ("foreign_keys", 1, 0),
        ("query_only", 0, 1),
        ("mmap_size", 0, 0),
        ("busy_timeout", 5000, 5000),
    ],
)
async def test_connections_are_set_up_as_promised(
    db: Database, pragma: str, of_writer: object, of_reader: object
) -> None:
    def ask(connection: sa.Connection) -> object:
        return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()

    assert await db.write(ask) == of_writer
    assert await db.read(ask) == of_reader


async def test_a_long_read_is_interrupted_when_nobody_waits_for_it_any_more(sqlite_url: str) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    began, ended = threading.Event(), threading.Event()

    def work(connection: sa.Connection) -> None:
        began.set()
        try:
            connection.exec_driver_sql(endless)
        finally:
            ended.set()

    async with Database(sqlite_url, readers=1) as db:
        reading = asyncio.create_task(db.read(work))
        await asyncio.to_thread(began.wait, 10)
        reading.cancel()
        assert await asyncio.to_thread(ended.wait, 10)
        assert await db.read(lambda _: "free again") == "free again"


async def test_the_folder_of_a_new_database_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    async with Database(f"sqlite:///{tmp_path}/new/data/runstead.db") as db:
        assert db.path is not None
        assert db.path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_file_that_is_no_database_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database, but long enough to have a header of one" * 10)
    with pytest.raises(DatabaseUnreachableError, match=r"x\.db: file is not a database"):
        await Database(f"sqlite:///{tmp_path}/x.db").__aenter__()


async def test_a_folder_that_cannot_be_made_is_named_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnreachableError, match="file"):
        await Database(f"sqlite:///{tmp_path}/file/x.db").__aenter__()


@pytest.mark.parametrize(
    "url", ["", "runstead.db", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "sqlite:///x.db?mode=ro"]
)
def test_a_url_that_is_no_database_of_ours_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Database(url)


def test_the_url_for_messages_hides_the_password() -> None:
    assert "hidden" not in Database("postgresql://me:hidden@host/name").url


async def test_a_file_that_cannot_take_a_write_ahead_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runstead.platform.storage.sql.sqlite._SCHEMA_PRAGMAS", ())
    db = Database(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(DatabaseError, match="write-ahead log"):
        await db.__aenter__()
