"""The server's own lines: taken at once, stored soon, never in the way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

import pytest
from tests.integration.logs.conftest import START, World

from runstead.capabilities.logs import intake as intake_module
from runstead.capabilities.logs.intake import QUEUE_EVENTS_MAX
from runstead.capabilities.logs.store import EventStore

OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


async def stored(world: World, count: int, **params: Any) -> list[dict[str, Any]]:
    """The lines of the server's own, as soon as there are so many."""
    async with asyncio.timeout(30):
        while True:
            found = await world.search(project="runstead", limit=1000, order="asc", **params)
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)


async def test_a_line_is_stored_and_found(world: World) -> None:
    world.intake.emit(
        source="job:backup",
        level="warning",
        message="disk nearly full",
        at=START,
        request_id="r-9",
        context={"free": 7},
    )
    (line,) = await stored(world, 1)
    assert line["project"] == "runstead"
    assert (line["source"], line["level"], line["message"]) == ("job:backup", "warn", "disk nearly full")
    assert (line["request_id"], line["context"]) == ("r-9", {"free": 7})
    assert await world.messages(q="disk", source="job:backup") == ["disk nearly full"]


async def test_lines_keep_their_order_also_across_batches(world: World) -> None:
    for number in range(700):
        world.intake.emit(source="app:x", level="info", message=str(number), at=START)
    assert [line["message"] for line in await stored(world, 700)] == [str(number) for number in range(700)]


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no")


ODD: list[dict[str, Any]] = [
    {"message": "x" * 100_000},
    {"message": ""},
    {"message": "\0 and \ud800"},
    {"source": "s" * 100},
    {"source": ""},
    {"level": "nonsense"},
    {"request_id": "r" * 100},
    {"context": {"a": "x" * 100_000}},
    {"context": {"a": object()}},
    {"context": {1: {2: float("nan")}}},
]
IMPOSSIBLE: list[dict[str, Any]] = [
    {"at": datetime(2026, 1, 1)},
    {"message": None},
    {"context": {"a": Unprintable()}},
    {"context": {"\ud800": 1}},
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
async def test_an_odd_line_is_stored_as_far_as_it_can_be(open_sqlite: OpenWorld, odd: dict[str, Any]) -> None:
    async with open_sqlite() as world:
        world.intake.emit(**{"source": "s", "level": "info", "message": "m", "at": START, **odd})
        (line,) = await stored(world, 1)
        assert len(line["message"]) <= 1024


@pytest.mark.parametrize("odd", IMPOSSIBLE, ids=range(len(IMPOSSIBLE)))
async def test_a_line_that_cannot_be_stored_raises_nothing_and_is_counted(
    open_sqlite: OpenWorld, odd: dict[str, Any]
) -> None:
    async with open_sqlite() as world:
        world.intake.emit(**{"source": "s", "level": "info", "message": "m", "at": START, **odd})
        world.intake.emit(source="s", level="info", message="good", at=START)
        messages = [line["message"] for line in await stored(world, 2)]
        assert messages[0] == "good"
        assert "1 log events were dropped" in messages[1]


async def test_lines_come_from_any_thread(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:

        def emit() -> None:
            for number in range(50):
                world.intake.emit(source="thread", level="info", message=str(number), at=START)

        threads = [threading.Thread(target=emit) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert len(await stored(world, 400)) == 400
        for thread in threads:
            thread.join()


async def test_what_does_not_fit_is_dropped_and_reported_as_one_event(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        for number in range(QUEUE_EVENTS_MAX + 25):
            world.intake.emit(source="flood", level="info", message=str(number), at=START)
        assert world.intake.queued == QUEUE_EVENTS_MAX
        (report,) = await stored(world, 1, source="runstead")
        assert report["level"] == "warn"
        assert report["context"]["dropped"] == 25
        assert "runstead_logs_own_dropped_total 25.0" in (await world.client.get("/metrics")).text


async def test_lines_that_wait_are_stored_when_the_server_stops(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        for number in range(600):
            world.intake.emit(source="last", level="info", message=str(number), at=START)
    async with open_sqlite() as again:
        assert len(await again.search(project="runstead", limit=1000)) == 600


async def test_lines_from_before_the_start_are_kept(
    open_sqlite: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = intake_module.Intake.opened

    def emit_then_open(self: intake_module.Intake) -> Any:
        self.emit(source="early", level="info", message="early", at=START)
        return opened(self)

    monkeypatch.setattr(intake_module.Intake, "opened", emit_then_open)
    async with open_sqlite() as world:
        assert [line["message"] for line in await stored(world, 1)] == ["early"]


async def test_a_failing_store_is_tried_again_and_shows_in_the_health(
    open_sqlite: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "RETRY_SECONDS", 0.01)
    failed = asyncio.Event()
    add = EventStore.add

    async def broken(*_: Any, **__: Any) -> None:
        failed.set()
        raise OSError("disk gone")

    async with open_sqlite() as world:
        monkeypatch.setattr(EventStore, "add", broken)
        world.intake.emit(source="s", level="info", message="kept", at=START)
        await failed.wait()
        await asyncio.sleep(0)
        health = (await world.client.get("/health")).json()
        assert health["status"] == "degraded"
        assert (await world.client.get("/ready")).status_code == 200
        monkeypatch.setattr(EventStore, "add", add)
        assert [line["message"] for line in await stored(world, 1)] == ["kept"]
        (check,) = [
            one for one in (await world.client.get("/health")).json()["checks"] if one["name"] == "logs"
        ]
        assert check["status"] == "ok"
        assert check["facts"]["queued"] == 0
