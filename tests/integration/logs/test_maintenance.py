"""Forgetting: by age, by project, by hand; and never in the way of who sends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from tests.integration.logs.conftest import Project, World, event

from runstead.capabilities.logs.store import EventStore

OpenWorld = Callable[..., AbstractAsyncContextManager[World]]
DAY = 24 * 3600


async def settled(world: World) -> None:
    """Wait for the run that is under way."""
    task = world.service.maintenance._task
    if task is not None:
        await asyncio.wait({task})


async def test_old_events_are_deleted_as_each_project_says(world: World) -> None:
    short = await world.project("short", retention_days=1)
    long = await world.project("long", retention_days=30)
    for project in (short, long):
        await world.stored(project, event("old needle"), event("older needle", ts="2020-01-01T00:00:00Z"))
    await settled(world)
    world.clock.offset = DAY + 1
    for project in (short, long):
        await world.stored(project, event("new needle"))
    await settled(world)
    assert await world.messages(project="short") == ["new needle"]
    assert await world.messages(project="long") == ["new needle", "old needle", "older needle"]
    assert await world.messages(project="short", q="needle") == ["new needle"]
    assert len(await world.search(q="needle")) == 4


async def test_what_arrived_late_is_kept_from_its_arrival(world: World) -> None:
    shop = await world.project(retention_days=1)
    await world.stored(shop, event("from the past", ts="2020-01-01T00:00:00Z"))
    await settled(world)
    assert (await world.admin("POST", "/admin/maintain")).json()["deleted_events"] == 0
    assert await world.messages(project="shop") == ["from the past"]


async def test_ingest_starts_maintenance_at_most_every_five_minutes(world: World) -> None:
    shop = await world.project()
    await world.stored(shop, event())
    await settled(world)
    first = (await world.admin("GET", "/admin/maintain")).json()
    assert first["started_at"] == "2026-05-01T12:00:00.000000Z"
    assert first["running"] is False
    assert first["last_error"] is None
    assert first["last_report"]["complete"] is True

    world.clock.offset = 299
    await world.stored(shop, event())
    await settled(world)
    assert (await world.admin("GET", "/admin/maintain")).json()["started_at"] == first["started_at"]
    world.clock.offset = 300
    await world.stored(shop, event())
    await settled(world)
    assert (await world.admin("GET", "/admin/maintain")).json()["started_at"] == "2026-05-01T12:05:00.000000Z"


async def test_two_processes_do_not_both_maintain(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as one, open_sqlite() as other:
        shop = await one.project()
        await one.stored(shop, event())
        await settled(one)
        other.clock.offset = 100
        await other.stored(shop, event())
        await settled(other)
        state = (await other.admin("GET", "/admin/maintain")).json()
        assert state["started_at"] == "2026-05-01T12:00:00.000000Z"


class Held:
    """Deleting waits until it is released."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    hold = Held()
    delete = EventStore.delete_older

    async def slow(self: EventStore, *arguments: Any) -> int:
        hold.begun.set()
        await hold.release.wait()
        return await delete(self, *arguments)

    monkeypatch.setattr(EventStore, "delete_older", slow)
    return hold


async def test_maintenance_is_not_waited_for_and_runs_once(open_sqlite: OpenWorld, held: Held) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        # Both answers come while it is held.
        await world.stored(shop, event())
        await held.begun.wait()
        await world.stored(shop, event())
        assert (await world.admin("GET", "/admin/maintain")).json()["running"] is True
        for path in ("/admin/maintain", "/admin/purge"):
            refused = await world.admin("POST", path)
            assert refused.status_code == 409
        held.release.set()
        await settled(world)
        assert (await world.admin("GET", "/admin/maintain")).json()["running"] is False
        assert (await world.admin("POST", "/admin/maintain")).status_code == 200


async def test_a_run_that_died_holds_nobody_up_for_long(open_sqlite: OpenWorld, held: Held) -> None:
    async with open_sqlite() as world:
        await world.stored(await world.project(), event())
        await held.begun.wait()
        assert (await world.admin("GET", "/admin/maintain")).json()["running"] is True
        async with open_sqlite() as other:
            held.release.set()
            other.clock.offset = 121
            assert (await other.admin("GET", "/admin/maintain")).json()["running"] is False
            assert (await other.admin("POST", "/admin/maintain")).status_code == 200


async def test_a_run_that_is_stopped_with_the_server_gives_way_at_once(
    open_sqlite: OpenWorld, held: Held
) -> None:
    async with open_sqlite() as world:
        await world.stored(await world.project(), event())
        await held.begun.wait()
        # It is held while the server begins to close.
        asyncio.get_running_loop().call_later(0.05, held.release.set)
    async with open_sqlite() as again:
        assert (await again.admin("POST", "/admin/maintain")).status_code == 200


async def test_an_error_is_kept_and_does_not_reach_the_sender(
    open_sqlite: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> int:
        raise OSError("disk gone")

    async with open_sqlite() as world:
        with monkeypatch.context() as patch:
            patch.setattr(EventStore, "delete_older", broken)
            shop = await world.project()
            await world.stored(shop, event())
            await settled(world)
            state = (await world.admin("GET", "/admin/maintain")).json()
            assert (state["last_error"], state["running"]) == ("OSError: disk gone", False)
        await world.admin("POST", "/admin/maintain")
        assert (await world.admin("GET", "/admin/maintain")).json()["last_error"] is None


async def fill(world: World, project: Project, count: int) -> None:
    for start in range(0, count, 250):
        await world.stored(project, *(event(f"needle {n}") for n in range(start, min(start + 250, count))))


async def test_purge_empties_a_project_in_small_steps(world: World) -> None:
    shop, other = await world.project("shop", minute_cap=10_000), await world.project("other")
    await fill(world, shop, 900)
    await fill(world, other, 10)
    await settled(world)
    world.clock.offset = 1
    answer = await world.admin("POST", "/admin/purge?project=shop&older_than_days=0")
    assert answer.status_code == 200
    assert (answer.json()["deleted_events"], answer.json()["complete"]) == (900, True)
    assert await world.messages(project="shop") == []
    assert len(await world.search(q="needle", limit=1000)) == 10
    assert (await world.admin("POST", "/admin/purge?project=nope")).status_code == 404
    assert (await world.admin("POST", "/admin/purge?older_than_days=31")).status_code == 400


async def test_a_run_ends_in_time_and_says_that_it_is_not_done(
    open_sqlite: OpenWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_sqlite() as world:
        shop = await world.project(minute_cap=10_000)
        await fill(world, shop, 900)
        await settled(world)
        delete = EventStore.delete_older

        async def slow(self: EventStore, *arguments: Any) -> int:
            world.clock.offset += 10
            return await delete(self, *arguments)

        monkeypatch.setattr(EventStore, "delete_older", slow)
        world.clock.offset = 1
        report = (await world.admin("POST", "/admin/purge?older_than_days=0")).json()
        assert report["complete"] is False
        assert 0 < report["deleted_events"] < 900


async def test_a_removed_project_leaves_nothing_behind(world: World) -> None:
    shop = await world.project(minute_cap=10_000)
    await fill(world, shop, 450)
    await settled(world)
    await world.admin("DELETE", "/admin/projects/shop")
    await settled(world)
    report = (await world.admin("GET", "/admin/maintain")).json()["last_report"]
    assert (report["deleted_events"], report["deleted_projects"]) == (450, 1)
    assert (await world.admin("POST", "/admin/maintain")).json()["deleted_projects"] == 0


async def test_old_receipts_are_deleted(world: World) -> None:
    shop = await world.project()
    for key in "abc":
        await world.send(shop, event(), Idempotency_Key=key)
    await settled(world)
    world.clock.offset = DAY - 10
    await world.send(shop, event(), Idempotency_Key="d")
    await settled(world)
    world.clock.offset = DAY + 10
    assert (await world.admin("POST", "/admin/maintain")).json()["deleted_receipts"] == 3
    assert (await world.send(shop, event(), Idempotency_Key="d")).headers["Idempotency-Replayed"] == "true"


async def test_the_index_goes_on_after_its_newest_events_were_deleted(world: World) -> None:
    shop = await world.project()
    await world.stored(shop, event("one"), event("two"))
    await settled(world)
    world.clock.offset = 1
    assert (await world.admin("POST", "/admin/purge?older_than_days=0")).json()["deleted_events"] == 2
    await world.stored(shop, event("three"))
    assert await world.messages(q="one") == []
    assert await world.messages(q="three") == ["three"]
