"""How long an answer takes tells nothing about a secret."""

from __future__ import annotations

import pytest
from tests.acceptance.house import ADMIN_TOKEN, PASSWORD, House
from tests.timing import Act, alike


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
    await alike(asking(ADMIN_TOKEN[:-1] + "x"), asking("x" * len(ADMIN_TOKEN)))
