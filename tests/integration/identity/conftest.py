"""People behind the real application, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.integration.identity.world import World, world_on

from runstead.platform.storage.sql import Database


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """Runs on SQLite and on PostgreSQL."""
    async with world_on(database, sessions_per_user_max=3, lockout_attempts=3) as opened:
        yield opened
