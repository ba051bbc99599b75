"""Nobody else's page does anything with a session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import get, post
from tests.integration.identity.world import PASSWORD, World, world_on

from runstead.platform.identity import guard
from runstead.platform.storage.sql import Database


@post("/page-of-an-app", guards=[guard("server.public")])
async def form() -> str:
    return "taken"


@get("/page-of-an-app", guards=[guard("server.public")])
async def look() -> str:
    return "shown"


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with world_on(database, routes=[form, look]) as opened:
        yield opened


async def browser_of(world: World, name: str) -> httpx.AsyncClient:
    """Signed in, and without the habit of showing the token."""
    _id, browser = await world.person(name)
    browser.event_hooks["request"].clear()
    return browser


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


STATE_CHANGES = [
    ("POST", "/auth/logout", {}),
    ("POST", "/auth/password", {"current": PASSWORD, "new": "another-Kettle-28"}),
    ("DELETE", "/auth/sessions", None),
    ("POST", "/api/tokens", {"name": "stolen"}),
]


@pytest.mark.req("SEC-011")
@pytest.mark.parametrize(("method", "path", "body"), STATE_CHANGES)
async def test_a_change_needs_the_token_of_this_very_session(
    world: World, method: str, path: str, body: dict[str, str] | None
) -> None:
    hers, his = await browser_of(world, "ada"), await browser_of(world, "bob")
    own = hers.cookies["runstead-csrf"]
    for token in (None, "", "x", own[:-1], own + "x", own.swapcase(), his.cookies["runstead-csrf"], "~"):
        headers = {} if token is None else {"X-CSRF-Token": token}
        refused = await hers.request(method, path, json=body, headers=headers)
        assert (refused.status_code, code(refused)) == (403, "E_CSRF"), token
    passed = await hers.request(method, path, json=body, headers={"X-CSRF-Token": own})
    assert passed.is_success, passed.text


@pytest.mark.req("SEC-011")
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
    ],
)
async def test_a_foreign_page_is_refused_even_with_the_token(world: World, headers: dict[str, str]) -> None:
    browser = await browser_of(world, "ada")
    token = {"X-CSRF-Token": browser.cookies["runstead-csrf"]}
    for path in ("/api/tokens", "/page-of-an-app"):
        refused = await browser.post(path, json={"name": "x"}, headers={**token, **headers})
        assert refused.status_code == 403, path


async def test_a_form_of_an_app_is_vouched_for_by_the_browser(world: World) -> None:
    browser = await browser_of(world, "ada")
    assert (await browser.post("/page-of-an-app")).status_code == 403
    for headers in ({"Origin": "http://127.0.0.1"}, {"Sec-Fetch-Site": "same-origin"}):
        assert (await browser.post("/page-of-an-app", headers=headers)).status_code == 201
    # What concerns the server itself needs the token all the same.
    refused = await browser.post("/api/tokens", json={"name": "x"}, headers={"Origin": "http://127.0.0.1"})
    assert code(refused) == "E_CSRF"


async def test_reading_and_programs_are_not_bothered(world: World) -> None:
    browser = await browser_of(world, "ada")
    assert (await browser.get("/api/tokens")).status_code == 200
    assert (await browser.get("/page-of-an-app", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200
    token = {"X-CSRF-Token": browser.cookies["runstead-csrf"]}
    made = (await browser.post("/api/tokens", json={"name": "program"}, headers=token)).json()["token"]
    program = await world.browser(Authorization=f"Bearer {made}")
    assert (await program.post("/api/tokens", json={"name": "more"})).status_code == 201


@pytest.mark.req("SEC-011")
async def test_nobody_is_signed_in_by_a_foreign_page(world: World) -> None:
    await world.accounts.people.create(name="mallory", password=PASSWORD)
    browser = await world.browser()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        body = {"name": "mallory", "password": PASSWORD}
        refused = await browser.post("/auth/login", json=body, headers=headers)
        assert refused.status_code == 403
        assert not browser.cookies


async def test_a_new_session_has_another_token(world: World) -> None:
    browser = await browser_of(world, "ada")
    old = browser.cookies["runstead-csrf"]
    body = {"name": "ada", "password": PASSWORD}
    again = await browser.post("/auth/login", json=body, headers={"X-CSRF-Token": old})
    assert again.status_code == 200, again.text
    assert browser.cookies["runstead-csrf"] != old
    refused = await browser.post("/api/tokens", json={"name": "x"}, headers={"X-CSRF-Token": old})
    assert refused.status_code == 403
