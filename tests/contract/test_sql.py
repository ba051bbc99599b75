"""What every database does, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstead.platform.storage.sql import (
    ConstraintError,
    Database,
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseError,
    DatabaseTimeoutError,
    signal,
    threads,
)

metadata = sa.MetaData()
things = sa.Table(
    "things",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("parent", sa.Integer, sa.ForeignKey("things.id")),
)


class RefusedError(Exception):
    """What a store raises when it does not like what it sees."""


@pytest.fixture
async def db(database: Database) -> Database:
    await database.change_schema(metadata.create_all)
    return database


def insert(number: int, value: str = "x", **more: Any) -> Any:
    def work(connection: sa.Connection) -> int:
        connection.execute(things.insert().values(id=number, value=value, **more))
        return number

    return work


def numbers(connection: sa.Connection) -> list[int]:
    return list(connection.execute(sa.select(things.c.id).order_by(things.c.id)).scalars())


async def until_settled(db: Database) -> list[int]:
    """What is there once no work runs any more: PostgreSQL has several writers, each takes one of these."""
    together = threading.Barrier(4 if db.dialect == "postgresql" else 1)
    await asyncio.gather(*(db.write(lambda _: together.wait(10)) for _ in range(together.parties)))
    return await db.read(numbers)


async def test_a_read_sees_what_a_write_that_returned_has_written(db: Database) -> None:
    assert await db.write(insert(1)) == 1
    assert await db.read(numbers) == [1]


async def test_works_run_on_a_thread_and_not_on_the_event_loop(db: Database) -> None:
    here = threading.get_ident()
    assert await db.read(lambda _: threading.get_ident()) != here
    assert await db.write(lambda _: threading.get_ident()) != here


async def test_a_work_that_raises_leaves_nothing_and_its_error_arrives_as_it_is(db: Database) -> None:
    def work(connection: sa.Connection) -> None:
        insert(1)(connection)
        raise RefusedError

    with pytest.raises(RefusedError):
        await db.write(work)
    assert await db.read(numbers) == []


async def test_a_taken_key_is_a_conflict_and_keeps_the_cause(db: Database) -> None:
    await db.write(insert(1))
    with pytest.raises(ConstraintError) as caught:
        await db.write(insert(1))
    assert caught.value.status == 409
    assert isinstance(caught.value.__cause__, sa.exc.IntegrityError)


async def test_a_reference_to_nothing_is_a_conflict(db: Database) -> None:
    with pytest.raises(ConstraintError):
        await db.write(insert(1, parent=7))


async def test_a_missing_value_is_our_mistake_and_no_conflict(db: Database) -> None:
    with pytest.raises(DatabaseError) as caught:
        await db.write(lambda connection: connection.execute(things.insert().values(id=1)).rowcount)
    assert not isinstance(caught.value, ConstraintError)
    assert caught.value.status == 500


async def test_the_public_text_of_an_error_holds_no_sql(db: Database) -> None:
    await db.write(insert(1, "private"))
    with pytest.raises(ConstraintError) as caught:
        await db.write(insert(1, "private"))
    assert "INSERT" not in caught.value.message
    assert "private" not in caught.value.message


async def test_a_read_cannot_write(db: Database) -> None:
    with pytest.raises(DatabaseError):
        await db.read(insert(1))
    assert await db.read(numbers) == []


async def test_a_read_sees_one_snapshot_even_when_a_write_comes_in_between(db: Database) -> None:
    began, go_on = threading.Event(), threading.Event()

    def count_twice(connection: sa.Connection) -> tuple[int, int]:
        before = len(numbers(connection))
        began.set()
        assert go_on.wait(10)
        return before, len(numbers(connection))

    reading = asyncio.create_task(db.read(count_twice))
    await asyncio.to_thread(began.wait, 10)
    await db.write(insert(1))
    go_on.set()
    assert await reading == (0, 0)
    assert await db.read(numbers) == [1]


async def test_reads_run_beside_one_another(db: Database) -> None:
    together = threading.Barrier(4)
    await asyncio.gather(*(db.read(lambda _: together.wait(10)) for _ in range(4)))


async def test_more_reads_than_may_wait_are_refused_with_busy_and_taken_again_later(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "WAITING_WORKS_MAX", 3)
    go_on = threading.Event()
    reads = [asyncio.create_task(db.read(lambda _: go_on.wait(10))) for _ in range(4 + 3 + 2)]
    await asyncio.sleep(0)
    assert db.stats().reads_waiting == 3
    go_on.set()
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert [one for one in results if one is not True] == [results[-2], results[-1]]
    assert isinstance(results[-1], DatabaseBusyError)
    assert db.stats().reads_refused == 2
    assert await db.read(numbers) == []


async def test_a_failing_work_does_not_hurt_its_neighbours(db: Database) -> None:
    results = await asyncio.gather(
        *(db.write(insert(number // 2)) for number in range(200)), return_exceptions=True
    )
    assert sum(isinstance(one, ConstraintError) for one in results) == 100
    assert await db.read(numbers) == list(range(100))


async def test_writes_happen_as_if_one_after_the_other(db: Database) -> None:
    """On PostgreSQL these collide, and are run again until each has seen the one before."""
    await db.write(insert(1, "0"))

    def increment(connection: sa.Connection) -> None:
        now = int(connection.execute(sa.select(things.c.value).where(things.c.id == 1)).scalar_one())
        connection.execute(things.update().where(things.c.id == 1).values(value=str(now + 1)))

    await asyncio.gather(*(db.write(increment) for _ in range(40)))
    assert await db.read(lambda c: c.execute(sa.select(things.c.value)).scalar_one()) == "40"


@pytest.mark.parametrize("misuse", [sa.Connection.commit, sa.Connection.rollback])
async def test_a_work_can_neither_commit_nor_roll_back(db: Database, misuse: Any) -> None:
    def work(connection: sa.Connection) -> None:
        insert(1)(connection)
        misuse(connection)

    results = await asyncio.gather(
        db.write(insert(2)), db.write(work), db.write(insert(3)), return_exceptions=True
    )
    assert isinstance(results[1], RuntimeError)
    assert await db.read(numbers) == [2, 3]


async def test_a_work_may_undo_a_part_of_itself(db: Database) -> None:
    def work(connection: sa.Connection) -> None:
        insert(1)(connection)
        with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
            insert(1)(connection)
        insert(2)(connection)

    await db.write(work)
    assert await db.read(numbers) == [1, 2]


async def test_what_a_work_did_in_a_savepoint_that_it_left_open_hurts_nobody_else(db: Database) -> None:
    def work(connection: sa.Connection) -> None:
        connection.begin_nested()
        insert(1)(connection)
        raise RefusedError

    results = await asyncio.gather(
        db.write(insert(2)), db.write(work), db.write(insert(3)), return_exceptions=True
    )
    assert isinstance(results[1], RefusedError)
    assert await db.read(numbers) == [2, 3]


async def test_an_open_result_is_refused_since_it_could_not_be_read_later(db: Database) -> None:
    with pytest.raises(TypeError, match="rows"):
        await db.write(lambda connection: connection.execute(sa.select(things)))


async def test_a_work_that_raises_stop_iteration_is_an_error_and_no_hang(db: Database) -> None:
    def work(_: sa.Connection) -> None:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await db.write(work)


async def test_whoever_waits_may_be_cancelled_while_the_work_runs_and_it_is_done_as_a_whole(
    db: Database,
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def work(connection: sa.Connection) -> None:
        insert(1)(connection)
        began.set()
        assert go_on.wait(10)

    writing = asyncio.create_task(db.write(work))
    await asyncio.to_thread(began.wait, 10)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    go_on.set()
    await db.write(insert(2))
    assert await until_settled(db) == [1, 2]


async def test_sql_that_runs_too_long_is_interrupted_and_the_next_work_is_not(database_url: str) -> None:
    endless = sa.text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    )
    async with Database(database_url, work_seconds_max=0.2) as db:
        await db.change_schema(metadata.create_all)
        for call in (db.read, db.write):
            with pytest.raises(DatabaseTimeoutError):
                await call(lambda connection: connection.execute(endless).scalar())
        assert await db.write(insert(1)) == 1
        assert await db.read(numbers) == [1]


async def test_listeners_hear_of_a_commit_that_carried_their_signal_and_of_no_other(db: Database) -> None:
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()
    counted: list[str] = []

    def listener() -> None:
        counted.append("signal")
        loop.call_soon_threadsafe(heard.set)

    def work(connection: sa.Connection) -> None:
        insert(1)(connection)
        signal(connection, "thing")
        signal(connection, "thing")

    stop = db.on_commit("thing", listener)
    await db.write(insert(2))
    assert counted == []
    await db.write(work)
    await asyncio.wait_for(heard.wait(), 10)
    assert counted == ["signal"]
    with pytest.raises(ConstraintError):
        await db.write(work)
    assert counted == ["signal"]
    stop()
    await db.write(lambda connection: signal(connection, "thing"))
    assert counted == ["signal"]


async def test_a_listener_that_raises_does_not_make_a_commit_look_failed(db: Database) -> None:
    def broken() -> None:
        raise RefusedError

    db.on_commit("thing", broken)
    await db.write(lambda connection: signal(connection, "thing"))


async def test_closing_finishes_the_writes_that_wait_and_refuses_later_ones(database_url: str) -> None:
    async with Database(database_url) as db:
        await db.change_schema(metadata.create_all)
        writes = [asyncio.create_task(db.write(insert(number))) for number in range(100)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*writes) == list(range(100))
    for call in (db.read, db.write, db.change_schema):
        with pytest.raises(DatabaseClosedError):
            await call(numbers)
    async with Database(database_url) as db:
        assert await db.read(numbers) == list(range(100))


async def test_a_database_that_is_not_open_yet_refuses(database_url: str) -> None:
    with pytest.raises(DatabaseClosedError):
        await Database(database_url).write(insert(1))


async def test_a_failing_schema_change_leaves_nothing(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        metadata.create_all(connection)
        raise RefusedError

    with pytest.raises(RefusedError):
        await database.change_schema(work)
    assert await database.read(lambda c: sa.inspect(c).get_table_names()) == []


async def test_the_figures_count_what_happened(db: Database) -> None:
    await asyncio.gather(*(db.write(insert(number)) for number in range(20)))
    with pytest.raises(ConstraintError):
        await db.write(insert(1))
    await db.read(numbers)
    stats = db.stats()
    assert (stats.writes, stats.writes_failed, stats.reads, stats.reads_failed) == (21, 1, 1, 0)
    assert 2 <= stats.groups <= 21
    assert stats.writes_waiting == stats.reads_waiting == 0
    assert stats.writes_seconds > 0


first_numbers = itertools.count(0, 1000)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(st.sampled_from(["good", "raises", "conflicts", "cancelled", "commits"]), max_size=60))
async def test_of_any_mix_of_works_exactly_those_that_succeeded_are_there(
    db: Database, plan: list[str]
) -> None:
    await db.write(lambda connection: connection.execute(things.delete()).rowcount)
    await db.write(insert(-1))
    # A cancelled work of the example before may still be under way: each example has numbers of its own.
    first = next(first_numbers)

    def work(number: int, fate: str) -> Any:
        def run(connection: sa.Connection) -> int:
            insert(first + number)(connection)
            if fate == "raises":
                raise RefusedError
            if fate == "conflicts":
                insert(-1)(connection)
            if fate == "commits":
                connection.commit()
            return number

        return run

    tasks = [asyncio.create_task(db.write(work(number, fate))) for number, fate in enumerate(plan)]
    await asyncio.sleep(0)
    for task, fate in zip(tasks, plan, strict=True):
        if fate == "cancelled":
            task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    succeeded = [one for one in results if isinstance(one, int)]
    assert succeeded == [number for number, fate in enumerate(plan) if fate == "good"]
    cancelled = {number for number, fate in enumerate(plan) if fate == "cancelled"}
    present = {number - first for number in await db.read(numbers) if number >= first}
    # A work whose waiter has gone may have been done or dropped, but nothing in between.
    assert present - cancelled == set(succeeded)
