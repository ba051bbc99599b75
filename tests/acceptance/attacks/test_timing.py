"""How long an answer takes tells nothing about a secret.

Many interleaved trials are compared by rank: the share of pairs in which the one was faster (Mann and Whitney). A difference that
can be used shows as a share near 0 or 1; where there is none, chance leaves 0.2 to 0.8 in not one of a million runs of this size.
Each comparison may be repeated, for a neighbour on the machine may step in.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import pytest
from tests.acceptance.house import PASSWORD, House

TRIALS = 60
REPEATS = 3

Act = Callable[[], Awaitable[object]]


async def seconds_of(act: Act) -> float:
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began


async def share(one: Act, other: Act) -> float:
    """In how many of all pairs the one was faster."""
    await one()
    await other()
    ones, others = [], []
    for _ in range(TRIALS):
        ones.append(await seconds_of(one))
        others.append(await seconds_of(other))
    return sum(a < b for a in ones for b in others) / TRIALS**2


async def alike(one: Act, other: Act) -> None:
    found = []
    for _ in range(REPEATS):
        found.append(await share(one, other))
        if 0.2 <= found[-1] <= 0.8:
            return
    raise AssertionError(f"the answers can be told apart: {found}")


@pytest.mark.req("AUTH-009")
@pytest.mark.timeout(300)
async def test_an_unknown_name_takes_as_long_as_a_wrong_password(world: House) -> None:
    client = world.clients["nobody"]

    async def known() -> None:
        assert (await client.post("/auth/login", json={"name": "owner", "password": "x"})).status_code == 401

    async def unknown() -> None:
        answer = await client.post("/auth/login", json={"name": "nobody-here", "password": "x"})
        assert answer.status_code == 401

    await alike(known, unknown)


@pytest.mark.req("SEC-001")
async def test_a_token_that_is_nearly_right_takes_as_long_as_one_that_is_not(world: House) -> None:
    owner = await world.client()
    answer = await owner.post("/auth/login", json={"name": "owner", "password": PASSWORD})
    shown = {"X-CSRF-Token": answer.cookies["runstead-csrf"]}
    token = (await owner.post("/api/tokens", json={"name": "t"}, headers=shown)).json()["token"]
    flipped = "A" if token[-1] != "A" else "B"
    near, far = token[:-1] + flipped, token[:21] + "x" * (len(token) - 21)
    assert len(near) == len(far)
    client = await world.client()

    def asking(value: str) -> Act:
        async def ask() -> None:
            await client.get("/auth/me", headers={"Authorization": f"Bearer {value}"})

        return ask

    await alike(asking(near), asking(far))
    admin = "admin-token-of-the-matrix"
    await alike(asking(admin[:-1] + "x"), asking("x" * len(admin)))
