"""Other people's things: forged requests, stolen and planted sessions, guessed ids."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.acceptance.attacks.operations import BODIES, every
from tests.acceptance.house import PASSWORD, ROOT, House, filled

FIREFOX = {"User-Agent": "Mozilla/5.0 Firefox/140.0"}


async def signed_in(world: House, name: str, **headers: str) -> httpx.AsyncClient:
    """A browser with a session, which shows no token by itself."""
    browser = await world.client(**FIREFOX, **headers)
    answer = await browser.post("/auth/login", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return browser


@pytest.mark.req("SEC-011")
async def test_no_state_change_is_made_by_a_forged_request(world: House) -> None:
    """As a form or a script of another page sends it: with the cookie, without the token."""
    browser = await signed_in(world, "admin")
    before = (await browser.get("/api/users")).json()
    tried = 0
    for operation in every(world):
        if operation.method == "get":
            continue
        url = filled(operation.path, world.values)
        for headers in (
            {},
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"X-CSRF-Token": "guess"},
        ):
            options: dict[str, Any] = {"json": BODIES[operation.name]} if operation.name in BODIES else {}
            answer = await browser.request(operation.method.upper(), url, headers=headers, **options)
            assert answer.status_code == 403, f"{operation.name} {headers}: {answer.status_code}"
            tried += 1
    assert tried > 150
    assert (await browser.get("/api/users")).json() == before, "and the session goes on"


@pytest.mark.req("AUTH-002")
async def test_a_planted_session_is_not_taken_over(world: House) -> None:
    """Fixation: the attacker gives the victim a session of theirs, and waits for the victim to sign in."""
    attacker = await signed_in(world, "stranger")
    planted = attacker.cookies["runstead"]
    victim = await world.client(**FIREFOX, Cookie=f"runstead={planted}")
    token = {"X-CSRF-Token": attacker.cookies["runstead-csrf"]}
    answer = await victim.post("/auth/login", json={"name": "owner", "password": PASSWORD}, headers=token)
    assert answer.status_code == 200
    assert answer.cookies["runstead"] != planted
    assert (await attacker.get("/auth/me")).json()["name"] != "owner"


@pytest.mark.req("AUTH-002")
async def test_a_stolen_session_is_noticed(world: House) -> None:
    browser = await signed_in(world, "owner")
    cookie = browser.cookies["runstead"]
    thief = await world.client(Cookie=f"runstead={cookie}", **{"User-Agent": "curl/8"})
    thief._transport.client = ("198.51.100.66", 1)  # type: ignore[attr-defined]
    assert (await thief.get("/auth/me")).json()["kind"] == "anonymous"
    assert (await browser.get("/auth/me")).json()["kind"] == "anonymous", "and is over for both"


@pytest.mark.req("AUTH-002")
@pytest.mark.parametrize("change", ["cut", "flip", "swap", "plain"])
async def test_a_changed_cookie_opens_nothing(world: House, change: str) -> None:
    cookie = (await signed_in(world, "owner")).cookies["runstead"]
    other = (await signed_in(world, "stranger")).cookies["runstead"]
    changed = {
        "cut": cookie[:-8],
        "flip": cookie[:20] + ("A" if cookie[20] != "A" else "B") + cookie[21:],
        "swap": cookie[:40] + other[40:],
        "plain": f"session:{world.ids['owner']}.x",
    }[change]
    client = await world.client(**FIREFOX, Cookie=f"runstead={changed}")
    assert (await client.get("/auth/me")).json()["kind"] == "anonymous"


@pytest.mark.req("AUTH-005")
async def test_nobody_reaches_anothers_things_by_their_ids(world: House) -> None:
    """Insecure direct object references: the ids are real, the one who asks is not their owner."""
    owner, root = world.clients["owner"], world.clients[ROOT]
    browser = await signed_in(world, "owner")
    shown = {"X-CSRF-Token": browser.cookies["runstead-csrf"]}
    session = (await browser.get("/auth/sessions")).json()[0]["id"]
    device = (await browser.get("/auth/devices")).json()[0]["id"]
    token = (await browser.post("/api/tokens", json={"name": "mine"}, headers=shown)).json()["id"]
    secret = {"id": "personal", "value": "personal-value"}
    scope = {"scope": f"user:{world.ids['owner']}"}
    assert (await owner.post("/editor/api/secrets", params=scope, json=secret)).status_code == 201
    job, app = world.values["job_id"], world.values["app_id"]
    theirs: list[tuple[str, str, dict[str, Any]]] = [
        ("DELETE", f"/auth/sessions/{session}", {}),
        ("DELETE", f"/auth/devices/{device}", {}),
        ("DELETE", f"/api/tokens/{token}", {}),
        ("GET", "/editor/api/secrets", {"params": scope}),
        ("GET", "/editor/api/secrets/personal", {"params": scope}),
        ("PUT", "/editor/api/secrets/personal", {"params": scope, "json": {"value": "taken"}}),
        ("DELETE", "/editor/api/secrets/personal", {"params": scope}),
        ("PUT", "/editor/api/secrets/of-owner", {"json": {"value": "taken"}}),
        ("DELETE", "/editor/api/secrets/of-owner", {}),
        ("PUT", f"/api/apps/{app}", {"content": b"function init() {}"}),
        ("DELETE", f"/api/apps/{app}", {}),
        ("POST", f"/api/scripts/{job}/kill", {}),
        ("POST", f"/api/scripts/{job}/restart", {}),
        ("DELETE", f"/api/scripts/{job}", {}),
    ]
    for method, url, options in theirs:
        for name in ("stranger", "viewer", "designer", "granted", "narrow", "nobody"):
            if name == "granted" and "/apps/" in url:
                continue
            answer = await world.clients[name].request(method, url, **options)
            assert answer.status_code in (401, 403, 404), f"{name}: {method} {url} {answer.status_code}"
    # All of it is still there.
    assert (await browser.get("/auth/me")).json()["name"] == "owner"
    assert [one["id"] for one in (await browser.get("/api/tokens")).json()].count(token) == 1
    listed = (await owner.get("/editor/api/secrets", params=scope)).json()["secrets"]
    assert [(one["id"], one["version"]) for one in listed] == [("personal", 1)]
    assert (await root.get(f"/api/scripts/{job}")).status_code == 200
