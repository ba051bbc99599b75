"""Projects: who may make and change them, and that it holds at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.logs.conftest import World, event

from runstead.testing.scenario import AS_ADMINISTRATOR, AS_ANYONE, AS_OPERATOR, Scenario

OpenWorld = Callable[..., AbstractAsyncContextManager[World]]

ADMIN_ROUTES = [
    ("GET", "/admin/projects"),
    ("POST", "/admin/projects"),
    ("GET", "/admin/projects/shop"),
    ("PATCH", "/admin/projects/shop"),
    ("DELETE", "/admin/projects/shop"),
    ("POST", "/admin/projects/shop/rotate"),
    ("GET", "/admin/maintain"),
    ("POST", "/admin/maintain"),
    ("POST", "/admin/purge"),
]
CLOSED = [
    Scenario(name=f"{method} {url} as {who}", method=method, url=url, status=status, headers=headers)
    for method, url in ADMIN_ROUTES
    for who, headers, status in (("nobody", AS_ANYONE, 401), ("operator", AS_OPERATOR, 403))
]


@pytest.mark.parametrize("scenario", CLOSED, ids=str)
async def test_only_the_administrator_manages_projects(open_sqlite: OpenWorld, scenario: Scenario) -> None:
    async with open_sqlite() as world:
        await scenario.run(world.client)


async def test_a_project_is_made_shown_changed_and_removed(world: World) -> None:
    made = await world.admin("POST", "/admin/projects", json={"slug": "shop", "name": "The shop"})
    assert made.status_code == 201
    assert set(made.json()) == {"slug", "project_key", "hmac_secret"}
    assert made.headers["Cache-Control"] == "no-store"

    shown = (await world.admin("GET", "/admin/projects/shop")).json()
    assert shown["name"] == "The shop"
    assert (shown["minute_cap"], shown["retention_days"]) == (5000, 3)
    slugs = [one["slug"] for one in (await world.admin("GET", "/admin/projects")).json()["projects"]]
    assert slugs == ["runstead", "shop"]

    change = {"minute_cap": 7, "retention_days": 30}
    changed = await world.admin("PATCH", "/admin/projects/shop", json=change)
    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in change} == change
    reset = await world.admin("PATCH", "/admin/projects/shop", json={"minute_cap": None})
    assert (reset.json()["minute_cap"], reset.json()["retention_days"]) == (5000, 30)

    assert (await world.admin("DELETE", "/admin/projects/shop")).status_code == 204
    assert (await world.admin("GET", "/admin/projects/shop")).status_code == 404


BAD: list[tuple[Any, int]] = [
    ({}, 400),
    ({"slug": "Shop"}, 400),
    ({"slug": "-shop"}, 400),
    ({"slug": "shop\n"}, 400),
    ({"slug": "s" * 64}, 400),
    ({"slug": "shop", "name": ""}, 400),
    ({"slug": "shop", "minute_cap": 0}, 400),
    ({"slug": "shop", "retention_days": 31}, 400),
    ({"slug": "shop", "color": "red"}, 400),
    ({"slug": "runstead"}, 409),
    ({"slug": "s" * 63}, 201),
]


@pytest.mark.parametrize(("document", "status"), BAD, ids=[json.dumps(row[0]) for row in BAD])
async def test_a_project_is_made_only_as_it_should_be(
    open_sqlite: OpenWorld, document: Any, status: int
) -> None:
    async with open_sqlite() as world:
        answer = await world.admin("POST", "/admin/projects", json=document)
        assert answer.status_code == status, answer.text


async def test_of_those_who_take_one_slug_at_once_one_gets_it(world: World) -> None:
    answers = await asyncio.gather(
        *(world.admin("POST", "/admin/projects", json={"slug": "shop"}) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


@pytest.mark.parametrize(
    ("method", "url"),
    [(method, url.replace("shop", "nowhere")) for method, url in ADMIN_ROUTES if "shop" in url],
)
async def test_a_project_that_is_not_there_is_404(open_sqlite: OpenWorld, method: str, url: str) -> None:
    async with open_sqlite() as world:
        answer = await world.admin(method, url, json={"name": "x"} if method == "PATCH" else None)
        assert answer.status_code == 404


async def test_rotation_ends_the_old_credentials_at_once(world: World) -> None:
    old = await world.project()
    answer = await world.admin("POST", "/admin/projects/shop/rotate")
    assert answer.status_code == 200
    new = type(old)(**answer.json())
    assert (await world.send(old, event())).status_code == 401
    assert (await world.send(type(old)("shop", old.project_key, new.hmac_secret), event())).status_code == 401
    assert (await world.send(new, event())).status_code == 200


async def test_a_removed_projects_events_are_gone_and_its_slug_is_free(world: World) -> None:
    old = await world.project()
    await world.stored(old, event("of the old one"))
    await world.admin("DELETE", "/admin/projects/shop")
    assert (await world.send(old, event())).status_code == 401
    assert await world.messages() == []

    new = await world.project()
    await world.stored(new, event("of the new one"))
    assert await world.messages(project="shop") == ["of the new one"]
    assert await world.messages(q="one") == ["of the new one"]


async def test_the_servers_own_project_stays(world: World) -> None:
    assert (await world.admin("DELETE", "/admin/projects/runstead")).status_code == 409


async def test_a_change_of_another_process_is_seen(sqlite_url: str, open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as one, open_sqlite() as other:
        shop = await one.project()
        other.clock.offset += 1
        assert (await other.send(shop, event())).status_code == 200
        await one.admin("DELETE", "/admin/projects/shop")
        other.clock.offset += 5
        assert (await other.send(shop, event())).status_code == 401


async def test_neither_key_nor_secret_is_in_the_database(open_sqlite: OpenWorld, sqlite_file: Path) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        await world.stored(shop, event())
    files = list(sqlite_file.parent.glob(sqlite_file.name + "*"))
    assert files
    for file in files:
        content = file.read_bytes()
        assert shop.project_key.encode() not in content
        assert shop.hmac_secret.encode() not in content


async def test_projects_survive_a_restart(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
    async with open_sqlite() as again:
        assert (await again.send(shop, event())).status_code == 200


async def test_the_credentials_are_in_no_answer_but_the_first(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        for url in ("/admin/projects", "/admin/projects/shop", "/metrics", "/health"):
            text = (await world.client.get(url, headers=dict(AS_ADMINISTRATOR))).text
            assert shop.project_key not in text
            assert shop.hmac_secret not in text
