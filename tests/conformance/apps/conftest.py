"""Apps with everything that they can have, on both databases, through HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.apps.town import Town, open_town

from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database


@pytest.fixture
async def pool() -> AsyncIterator[ScriptPool]:
    async with ScriptPool(workers=2) as one:
        yield one


@pytest.fixture
async def town(
    database: Database, database_url: str, tmp_path: Path, pool: ScriptPool
) -> AsyncIterator[Town]:
    async with open_town(database, database_url, tmp_path, pool) as one:
        yield one
