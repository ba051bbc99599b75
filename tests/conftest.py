"""Fixtures for every test: databases, real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.services import MissingServiceError, PostgresCluster, postgres_cluster

from runstead.platform.storage.sql import Database

# How long an example takes to make or to try says how busy the machine is, no more.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """A PostgreSQL server; one for each worker of pytest-xdist."""
    try:
        with postgres_cluster() as cluster:
            yield cluster
    except MissingServiceError as reason:
        pytest.skip(f"no PostgreSQL here: {reason}")


@pytest.fixture
def postgres_url(postgres: PostgresCluster) -> Iterator[str]:
    """The URL of an empty PostgreSQL database."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path}/database.db"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; the test runs once for each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty database; the test runs once for each kind."""
    async with Database(database_url) as opened:
        yield opened
