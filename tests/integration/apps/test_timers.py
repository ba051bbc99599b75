"""Timers of several servers over one database, with time that is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from runstead.capabilities.apps import MIGRATIONS
from runstead.capabilities.apps.events.timers import LEASE_SECONDS, Timers
from runstead.capabilities.apps.hostcalls import Session
from runstead.capabilities.apps.model import Registered, Timer
from runstead.capabilities.apps.stage import Serving
from runstead.platform.execution.script import Program
from runstead.platform.storage.sql import Database, migrate
from runstead.testing.clock import FakeClock

SERVING = Serving("app", 1, Program.of("app.js", ""), Registered(), privileged=False)


class Servers:
    """Each has its own timers; the database and the clock are the same."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = FakeClock()
        self.calls: list[tuple[int, str, dict[str, Any]]] = []
        #: Of a server that hangs in its calls.
        self.hung: set[int] = set()

    def make(self, number: int) -> Timers:
        async def invoke(_serving: Serving, handler: str, _session: Session, **options: Any) -> None:
            self.calls.append((number, handler, options["args"]))
            if number in self.hung:
                await asyncio.Event().wait()

        return Timers(self.db, self.clock, lambda _app_id: SERVING, invoke)

    async def pass_time(self, seconds: float, true: Callable[[], bool] = lambda: True) -> None:
        """Move the clock in small steps, so that everybody can see each, and further until something is true."""
        for _ in range(round(seconds / 0.5)):
            self.clock.advance(0.5)
            await asyncio.sleep(0.02)
        async with asyncio.timeout(10):
            while not true():
                self.clock.advance(0.5 if seconds else 0)
                await asyncio.sleep(0.02)


@pytest.fixture
async def servers(database: Database) -> Servers:
    await migrate(database, {"apps": MIGRATIONS})
    return Servers(database)


def every(seconds: float, name: str = "tick") -> Timer:
    return Timer(name=name, handler="tick", at=None, every_ms=int(seconds * 1000))


async def test_of_two_servers_one_calls(servers: Servers) -> None:
    async with AsyncExitStack() as stack:
        for number in (1, 2):
            await stack.enter_async_context(servers.make(number).opened())
        timers = servers.make(3)
        await timers.replace("app", [every(5)], is_startup=True)
        await servers.pass_time(31, lambda: len(servers.calls) >= 6)
        times = [args["scheduledAt"] for _, _, args in servers.calls]
        assert len(times) == len(set(times)), "each time once"
        assert {number for number, _, _ in servers.calls} <= {1, 2}


async def test_a_call_that_a_server_died_with_is_made_by_another(servers: Servers) -> None:
    servers.hung = {1}
    first, second = servers.make(1), servers.make(2)
    once = Timer(name="once", handler="once", at=servers.clock.now() + timedelta(seconds=1), every_ms=None)
    await first.replace("app", [once], is_startup=False)
    async with first.opened():
        await servers.pass_time(2, lambda: len(servers.calls) == 1)
    # It is gone, with the call.
    async with second.opened():
        await servers.pass_time(LEASE_SECONDS + 12, lambda: len(servers.calls) == 2)
        assert [number for number, _, _ in servers.calls] == [1, 2]
        await servers.pass_time(1)
        async with asyncio.timeout(10):
            while await second.list("app"):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


async def test_what_was_missed_is_counted_and_made_up_for_once(servers: Servers) -> None:
    timers = servers.make(1)
    await timers.replace("app", [every(5)], is_startup=True)
    servers.clock.advance(60)
    async with timers.opened():
        await servers.pass_time(0, lambda: len(servers.calls) == 1)
        assert servers.calls[0][2]["missed"] == 11
        await servers.pass_time(0)
        assert len(servers.calls) == 1
    (listed,) = await timers.list("app")
    assert listed["missed"] == 11


async def test_a_start_neither_resets_nor_repeats(servers: Servers) -> None:
    timers = servers.make(1)
    past = Timer(name="past", handler="once", at=servers.clock.now() - timedelta(days=1), every_ms=None)
    await timers.replace("app", [every(3600)], is_startup=True)
    before = await timers.list("app")
    servers.clock.advance(1800)
    await timers.replace("app", [every(3600), past], is_startup=True)
    assert await timers.list("app") == before, "the hour does not begin anew, and the past is past"
    await timers.replace("app", [every(60), past], is_startup=False)
    assert {one["name"] for one in await timers.list("app")} == {"tick", "past"}, "a new version may catch up"
    await timers.replace("app", [], is_startup=False)
    assert await timers.list("app") == []
