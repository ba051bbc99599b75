"""Limits a minute: exact under many clients, and a refusal that explains itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest
from tests.integration.logs.conftest import START, World, event

from runstead.testing.scenario import AS_OPERATOR

OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


async def test_sixty_four_clients_together_get_exactly_the_cap(world: World) -> None:
    shop = await world.project(minute_cap=500)

    async def client(number: int) -> int:
        taken = 0
        for size in (1, 3, 7, 2):
            answer = await world.send(shop, *(event(f"{number}") for _ in range(size)))
            assert answer.status_code in (200, 429)
            if answer.status_code == 200:
                taken += size
        return taken

    taken = sum(await asyncio.gather(*(client(number) for number in range(64))))
    # 832 were sent; what is left over is smaller than any batch that was refused last.
    assert 494 <= taken <= 500
    assert len(await world.search(project="shop", limit=1000)) == taken


async def test_the_window_slides_and_does_not_jump(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project(minute_cap=10)

        async def send_at(second: float, events: int) -> int:
            world.clock.offset = second
            return (await world.send(shop, *([event()] * events))).status_code

        assert await send_at(0, 4) == 200
        assert await send_at(30, 6) == 200
        # A counter for each minute would begin anew here.
        assert await send_at(59.9, 1) == 429
        assert await send_at(60, 4) == 200
        assert await send_at(61, 1) == 429
        assert await send_at(90, 6) == 200
        assert await send_at(90, 1) == 429


async def test_a_refusal_says_what_the_limit_is_and_where_to_change_it(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project(minute_cap=10)
        await world.stored(shop, *([event()] * 8))
        world.clock.offset = 20.5
        refused = await world.send(shop, event(), event(), event())
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "40"
        assert refused.headers["X-RateLimit-Limit"] == "10"
        assert refused.headers["X-RateLimit-Remaining"] == "2"
        assert refused.headers["X-RateLimit-Reset"] == str(int((START + timedelta(seconds=60)).timestamp()))
        error = refused.json()["error"]
        assert error["code"] == "E_RATE_LIMIT"
        details = error["details"]
        assert details["change"].startswith("minute_cap of the project: PATCH /admin/projects/shop")
        assert {name: details[name] for name in ("limit", "value", "usage", "unit", "resets_at")} == {
            "limit": "minute_cap",
            "value": 10,
            "usage": 8,
            "unit": "events",
            "resets_at": "2026-05-01T12:01:00.000000Z",
        }
        # What it says holds.
        world.clock.offset += 39
        assert (await world.send(shop, event(), event(), event())).status_code == 429
        world.clock.offset += 1
        assert (await world.send(shop, event(), event(), event())).status_code == 200


async def test_a_batch_above_the_cap_is_told_that_it_never_fits(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project(minute_cap=2)
        refused = await world.send(shop, event(), event(), event())
        assert refused.status_code == 429
        assert "can never be taken" in refused.json()["error"]["message"]


async def test_a_changed_cap_holds_at_once(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project(minute_cap=1)
        await world.stored(shop, event())
        assert (await world.send(shop, event())).status_code == 429
        await world.admin("PATCH", "/admin/projects/shop", json={"minute_cap": 2})
        assert (await world.send(shop, event())).status_code == 200


async def test_one_projects_cap_is_not_anothers(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop, other = await world.project("shop", minute_cap=1), await world.project("other", minute_cap=1)
        await world.stored(shop, event())
        assert (await world.send(shop, event())).status_code == 429
        assert (await world.send(other, event())).status_code == 200


async def test_bad_and_repeated_batches_cost_nothing(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project(minute_cap=2)
        for _ in range(5):
            assert (await world.send(shop, {"level": "x"})).status_code == 400
            assert (await world.send(shop, event(), Idempotency_Key="k")).status_code == 200
        assert (await world.send(shop, event())).status_code == 200
        assert (await world.send(shop, event())).status_code == 429


async def test_an_address_may_ask_so_often_whoever_it_is(open_sqlite: OpenWorld) -> None:
    async with open_sqlite(ip_requests_per_minute=3) as world:
        shop = await world.project()
        assert (await world.client.post("/api/log", content=b"x")).status_code == 401
        assert (await world.client.get("/api/log", headers=shop.signed(b""))).status_code == 200
        assert (await world.send(shop, event())).status_code == 200
        refused = await world.send(shop, event())
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "60"
        details = refused.json()["error"]["details"]
        assert (details["limit"], details["value"], details["usage"]) == ("ip_requests_per_minute", 3, 3)
        assert "RUNSTEAD_LOGS_IP_REQUESTS_PER_MINUTE" in details["change"]
        # People with a credential are not counted.
        assert (await world.client.get("/api/log", headers=dict(AS_OPERATOR))).status_code == 200
        world.clock.offset = 60
        assert (await world.send(shop, event())).status_code == 200


@pytest.mark.parametrize("partial", ["yes", "true&x=1", ""])
async def test_an_unknown_flag_is_refused(open_sqlite: OpenWorld, partial: str) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        answer = await world.send(shop, event(), path=f"/api/log?partial={partial}")
        assert answer.status_code == 400
