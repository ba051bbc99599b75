"""What only PostgreSQL can do to us."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from tests.services import PostgresCluster, postgres_cluster

from runstead.platform.storage.sql import Database, DatabaseUnreachableError

pytestmark = pytest.mark.postgres


def ask(statement: str) -> Any:
    return lambda connection: connection.exec_driver_sql(statement).scalar()


async def test_pooled_connections_that_the_server_has_closed_are_replaced_unseen(
    postgres: PostgresCluster, postgres_url: str
) -> None:
    name = postgres_url.split("/")[3].split("?", maxsplit=1)[0]
    async with Database(postgres_url) as db:
        for call in (db.read, db.write):
            await asyncio.gather(*(db.read(ask("SELECT 1")) for _ in range(4)))
            with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
                )
            assert await call(ask("SELECT 42")) == 42
        assert db.stats().retries >= 1


async def test_a_server_that_restarts_is_waited_for() -> None:
    with postgres_cluster() as cluster, cluster.database() as url:
        async with Database(url) as db:
            await db.write(ask("SELECT 1"))
            cluster.stop()
            waiting = [
                asyncio.create_task(db.read(ask("SELECT 1"))),
                asyncio.create_task(db.write(ask("SELECT 2"))),
            ]
            await asyncio.sleep(0)
            await asyncio.to_thread(cluster.start)
            assert await asyncio.gather(*waiting) == [1, 2]


async def test_a_server_that_stays_away_is_unavailable_and_not_an_error_of_ours() -> None:
    with postgres_cluster() as cluster, cluster.database() as url:
        async with Database(url) as db:
            cluster.stop()
            with pytest.raises(DatabaseUnreachableError) as caught:
                await db.read(ask("SELECT 1"))
            assert caught.value.status == 503
            cluster.start()


async def test_a_server_that_is_not_there_is_named_at_the_start_without_the_password(
    tmp_path: object,
) -> None:
    db = Database(f"postgresql://me:hidden@/name?host={tmp_path}")
    with pytest.raises(DatabaseUnreachableError, match="cannot open the database") as caught:
        await db.__aenter__()
    assert "hidden" not in str(caught.value)


async def test_a_connection_lost_during_the_commit_is_not_tried_again_since_nobody_knows(
    postgres: PostgresCluster, postgres_url: str
) -> None:
    runs: list[int] = []

    def work(connection: sa.Connection) -> None:
        runs.append(1)
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (i int)")
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    async with Database(postgres_url) as db:
        with pytest.raises(DatabaseUnreachableError, match="may or may not"):
            await db.write(work)
    assert len(runs) == 1


async def test_acknowledged_writes_wait_for_the_disk_also_where_the_server_says_otherwise(
    postgres: PostgresCluster, postgres_url: str
) -> None:
    name = postgres_url.split("/")[3].split("?", maxsplit=1)[0]
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    async with Database(postgres_url) as db:
        assert await db.write(ask("SHOW synchronous_commit")) == "on"


async def test_transactions_are_isolated_as_promised(postgres_url: str) -> None:
    async with Database(postgres_url) as db:
        assert await db.write(ask("SHOW transaction_isolation")) == "serializable"
        assert await db.read(ask("SHOW transaction_isolation")) == "repeatable read"
        assert await db.read(ask("SHOW transaction_read_only")) == "on"
        assert await db.write(ask("SHOW transaction_read_only")) == "off"
