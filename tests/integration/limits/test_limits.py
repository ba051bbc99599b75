"""Rates, lists and usage through HTTP, on one node and on two."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from litestar import get, post
from tests.integration.identity.world import Trail
from tests.services import MissingServiceError, redis_server

from runstead.kernel.clock import rfc3339
from runstead.platform.identity import guard
from runstead.platform.limits import MIGRATIONS, Limiter, LimitsSettings, Rule
from runstead.platform.limits import limiter as limiter_module
from runstead.platform.limits import windows as windows_module
from runstead.platform.limits.http import limit_routes
from runstead.platform.limits.middleware import RateLimits
from runstead.platform.storage.sql import Database, migrate
from runstead.testing.clock import FakeClock
from runstead.testing.scenario import AS_ADMINISTRATOR, AS_OPERATOR, running

CLIENTS = 64


@get("/thing", guards=[guard("server.public")])
async def thing() -> str:
    return "x"


@post("/thing/below", guards=[guard("server.public")])
async def below() -> str:
    return "x"


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    try:
        with redis_server() as url:
            yield url
    except MissingServiceError as error:
        pytest.skip(str(error))


class Node:
    """A server with rates."""

    def __init__(
        self, db: Database, stack: AsyncExitStack, rules: tuple[Rule, ...], redis_url: str = ""
    ) -> None:
        self.clock, self.trail = FakeClock(), Trail()
        settings = LimitsSettings(redis_url=redis_url)
        self.limiter = Limiter(db, settings=settings, rules=rules, trail=self.trail, clock=self.clock)
        self._stack = stack

    async def client(self, address: str = "203.0.113.1", **headers: str) -> httpx.AsyncClient:
        client = await self._stack.enter_async_context(
            running(
                routes=[thing, below, limit_routes(self.limiter)],
                rates=partial(RateLimits, limiter=self.limiter),
                headers=headers,
            )
        )
        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        transport.client = (address, 1)
        return client


@pytest.fixture
async def stack(database: Database) -> AsyncIterator[AsyncExitStack]:
    await migrate(database, {"limits": MIGRATIONS})
    async with AsyncExitStack() as one:
        yield one


def by(who: Any, limit: str = "3/minute", **more: Any) -> tuple[Rule, ...]:
    return (Rule(name="rule", by=who, limit=limit, **more),)


@pytest.mark.req("SEC-006")
@pytest.mark.req("JOBS-010")
async def test_the_headers_count_down_and_then_it_is_429(database: Database, stack: AsyncExitStack) -> None:
    client = await Node(database, stack, by("address")).client()
    for remaining in ("2", "1", "0"):
        answer = await client.get("/thing")
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-limit"] == "3"
        assert answer.headers["x-ratelimit-remaining"] == remaining
        assert 1 <= int(answer.headers["x-ratelimit-reset"]) <= 60
    refused = await client.get("/thing")
    assert refused.status_code == 429
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    error = refused.json()["error"]
    assert error["code"] == "E_RATE_LIMIT"
    assert error["details"].items() >= {"limit": "rule", "value": 3, "used": 3, "window_seconds": 60}.items()
    assert (await client.get("/healthz")).status_code == 200, "whoever watches the server is let through"


@pytest.mark.req("SEC-006")
async def test_addresses_users_and_all_are_counted_apart(database: Database, stack: AsyncExitStack) -> None:
    node = Node(database, stack, by("user", "1/minute"))
    admin, operator = await node.client(**AS_ADMINISTRATOR), await node.client(**AS_OPERATOR)
    nobody = await node.client()
    assert [(await one.get("/thing")).status_code for one in (admin, operator, admin)] == [200, 200, 429]
    assert [(await nobody.get("/thing")).status_code for _ in range(3)] == [200] * 3
    # The same user elsewhere is the same user.
    assert (await (await node.client("203.0.113.2", **AS_ADMINISTRATOR)).get("/thing")).status_code == 429

    node = Node(database, stack, by("address", "1/minute"))
    here, there = await node.client("203.0.113.1"), await node.client("203.0.113.2")
    assert [(await one.get("/thing")).status_code for one in (here, there, here)] == [200, 200, 429]
    # One IPv6 host chooses among 2^64 addresses.
    first, second = await node.client("2001:db8::1"), await node.client("2001:db8::2")
    assert [(await one.get("/thing")).status_code for one in (first, second)] == [200, 429]

    node = Node(database, stack, by("everyone", "1/minute"))
    here, there = await node.client("203.0.113.1"), await node.client("203.0.113.2")
    assert [(await one.get("/thing")).status_code for one in (here, there)] == [200, 429]


async def test_a_rule_may_be_about_paths_and_methods(database: Database, stack: AsyncExitStack) -> None:
    rules = by("address", "1/minute", paths=("/thing/below",), methods=("POST",))
    client = await Node(database, stack, rules).client()
    assert [(await client.get("/thing")).status_code for _ in range(3)] == [200] * 3
    assert "x-ratelimit-limit" not in (await client.get("/thing")).headers
    assert (await client.post("/thing/below")).status_code == 201
    for path in ("/thing/below", "/thing//below", "/thing/below/"):
        assert (await client.post(path)).status_code == 429, path
    assert (await client.get("/thing/below")).status_code == 405


async def test_of_several_rules_each_holds_and_the_tightest_is_shown(
    database: Database, stack: AsyncExitStack
) -> None:
    rules = (
        Rule(name="wide", by="address", limit="10/minute"),
        Rule(name="narrow", by="everyone", limit="2/minute"),
    )
    node = Node(database, stack, rules)
    client = await node.client()
    assert (await client.get("/thing")).headers["x-ratelimit-limit"] == "2"
    await client.get("/thing")
    assert (await client.get("/thing")).json()["error"]["details"]["limit"] == "narrow"


@pytest.mark.req("SEC-006")
@pytest.mark.parametrize("amount", [1, 10, 40])
async def test_64_clients_at_once_get_exactly_the_limit(
    database: Database, stack: AsyncExitStack, amount: int
) -> None:
    client = await Node(database, stack, by("everyone", f"{amount}/minute")).client()
    answers = await asyncio.gather(*(client.get("/thing") for _ in range(CLIENTS)))
    assert sum(one.status_code == 200 for one in answers) == amount
    assert sum(one.status_code == 429 for one in answers) == CLIENTS - amount


@pytest.mark.req("SEC-006")
@pytest.mark.parametrize("amount", [1, 10, 40])
async def test_two_nodes_with_redis_let_exactly_the_limit_through(
    database: Database, stack: AsyncExitStack, redis: str, amount: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that is busy with other tests must not make a node count for itself.
    monkeypatch.setattr(windows_module, "REDIS_SECONDS_MAX", 30.0)
    # Each database and amount counts for itself on the one Redis server.
    rules = (Rule(name=f"shared-{database.dialect}-{amount}", by="everyone", limit=f"{amount}/minute"),)
    nodes = [Node(database, stack, rules, redis) for _ in range(2)]
    for node in nodes:
        await stack.enter_async_context(node.limiter.opened())
    clients = [await node.client() for node in nodes]
    answers = await asyncio.gather(*(clients[number % 2].get("/thing") for number in range(CLIENTS)))
    assert sum(one.status_code == 200 for one in answers) == amount
    refused = next(one for one in answers if one.status_code == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_without_redis_each_node_counts_until_it_is_back(
    database: Database, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter_module, "PAUSE_SECONDS", 0.0)
    rules = (Rule(name=f"falls-{database.dialect}", by="everyone", limit="2/minute"),)
    with redis_server() as url:
        node = Node(database, stack, rules, url)
        client = await node.client()
        assert (await client.get("/thing")).headers["x-ratelimit-remaining"] == "1"
    # Redis is gone, and what it counted.
    answers = [await client.get("/thing") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    async with node.limiter.opened():
        pass


@pytest.mark.req("SEC-013")
async def test_an_address_is_shut_out_until_its_time_is_over(
    database: Database, stack: AsyncExitStack
) -> None:
    node = Node(database, stack, by("address", "2/minute"))
    admin = await node.client("198.51.100.1", **AS_ADMINISTRATOR)
    inside, outside = await node.client("203.0.113.9"), await node.client("203.0.114.9")
    ends = rfc3339(node.clock.now() + timedelta(hours=1))
    body = {"kind": "block", "network": "203.0.113.0/24", "reason": "scanner", "expires_at": ends}
    made = await admin.post("/api/limits/addresses", json=body)
    assert made.status_code == 201, made.text
    refused = await inside.get("/thing")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "E_BLOCKED")
    assert (await outside.get("/thing")).status_code == 200
    node.clock.advance(3601)
    assert (await inside.get("/thing")).status_code == 200
    assert node.trail.actions() == ["limit.block"]


@pytest.mark.req("SEC-013")
async def test_an_exempt_address_has_no_rate_and_wins_over_a_block(
    database: Database, stack: AsyncExitStack
) -> None:
    node = Node(database, stack, by("address", "3/minute"))
    admin, guest = await node.client("198.51.100.1", **AS_ADMINISTRATOR), await node.client("2001:db8::7")
    path = "/api/limits/addresses"
    for kind, network in (("block", "2001:db8::/32"), ("allow", "2001:db8::7")):
        made = await admin.post(path, json={"kind": kind, "network": network})
        assert made.status_code == 201
    assert [(await guest.get("/thing")).status_code for _ in range(9)] == [200] * 9
    entry = made.json()["id"]
    assert (await admin.delete(f"{path}/{entry}")).status_code == 204
    assert (await guest.get("/thing")).json()["error"]["code"] == "E_BLOCKED"
    node.clock.advance(61)


async def test_the_lists_are_checked_and_shown(database: Database, stack: AsyncExitStack) -> None:
    node = Node(database, stack, by("address", "100/minute"))
    admin = await node.client(**AS_ADMINISTRATOR)
    path = "/api/limits/addresses"
    good = {"kind": "block", "network": "203.0.113.9"}
    for network, words in (
        ("0.0.0.0/0", "everybody"),
        ("::/0", "everybody"),
        ("x", "network"),
    ):
        refused = await admin.post(path, json={**good, "network": network})
        assert (refused.status_code, words in refused.text) == (400, True), network
    assert (await admin.post(path, json=good)).status_code == 201
    assert (await admin.post(path, json=good)).status_code == 409
    shown = (await admin.get("/api/limits")).json()
    assert [one["network"] for one in shown["addresses"]] == ["203.0.113.9/32"]
    assert shown["rules"][0]["limit"] == "100/minute"
    assert (await admin.delete(f"{path}/nothing")).status_code == 404


@pytest.mark.req("SEC-016")
async def test_usage_is_reported_by_hour(database: Database, stack: AsyncExitStack) -> None:
    node = Node(database, stack, by("address", "3/minute"))
    client, admin = await node.client(), await node.client("198.51.100.1", **AS_ADMINISTRATOR)
    for _ in range(5):
        await client.get("/thing")
    found = (await admin.get("/api/limits/usage", params={"subject": "address:203.0.113.1"})).json()["usage"]
    assert found == [
        {
            "hour": rfc3339(node.clock.now())[:13],
            "rule": "rule",
            "subject": "address:203.0.113.1",
            "allowed": 3,
            "refused": 2,
        }
    ]
    await client.get("/thing")
    later = (await admin.get("/api/limits/usage", params={"subject": "address:203.0.113.1"})).json()["usage"]
    assert later[0]["refused"] == 3
    node.clock.advance(91 * 86_400)
    await node.limiter.usage.sweep()
    assert (await admin.get("/api/limits/usage", params={"subject": "address:203.0.113.1"})).json() == {
        "usage": []
    }
