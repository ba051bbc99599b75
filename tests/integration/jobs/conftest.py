"""Jobs behind the real application, on a real database, with real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from runstead.capabilities.jobs import MIGRATIONS, JobsSettings, capability
from runstead.platform.execution.process import Supervisor
from runstead.platform.storage.sql import MIGRATIONS as PLATFORM_MIGRATIONS
from runstead.platform.storage.sql import Database, migrate
from runstead.testing.scenario import AS_ADMINISTRATOR, running

Open = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


class Lines:
    """A log sink that keeps what it gets."""

    def __init__(self) -> None:
        self.emitted: list[dict[str, Any]] = []

    def emit(self, **line: Any) -> None:
        self.emitted.append(line)


@pytest.fixture
def sink() -> Lines:
    return Lines()


@pytest.fixture
def open_jobs(tmp_path: Path, sink: Lines) -> Open:
    """``async with open_jobs(**settings) as client``: opening again is what a restart of the server is."""
    work = tmp_path / "work"
    work.mkdir()

    @asynccontextmanager
    async def opened(
        *, grace: float = 0, environ: dict[str, str] | None = None, **settings: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        async with Database(f"sqlite:///{tmp_path}/jobs.db") as db:
            await migrate(db, {"platform": PLATFORM_MIGRATIONS, "jobs": MIGRATIONS})
            jobs = capability(
                settings=msgspec.convert(settings, JobsSettings),
                base_dir=work,
                data_dir=tmp_path / "data",
                db=db,
                supervisor=Supervisor(),
                sandbox="auto",
                shutdown_grace_seconds=grace,
                logs=sink,
                environ={"PATH": "/usr/local/bin:/usr/bin:/bin", **(environ or {})},
            )
            async with running(jobs, headers=AS_ADMINISTRATOR) as client:
                client.timeout = httpx.Timeout(30)
                yield client

    return opened
