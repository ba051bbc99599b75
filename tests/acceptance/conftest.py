"""The whole server: as a real process, or in this one with everybody in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.acceptance.house import EXAMPLES, Furnished, House, furnish, house

from runstead.testing.server import ServerProcess


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start servers over one data folder; whatever is still running at the end of the test is stopped."""
    started: list[ServerProcess] = []

    def start(config: str = EXAMPLES, **options: object) -> ServerProcess:
        server = ServerProcess(tmp_path / "server", config=config, **options)  # type: ignore[arg-type]
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.kill()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def furnished(tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    return await furnish(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
async def world(tmp_path: Path, furnished: Furnished) -> AsyncIterator[House]:
    async with house(tmp_path, furnished) as one:
        yield one
