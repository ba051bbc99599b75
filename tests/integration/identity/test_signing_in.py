"""Signing in and out, sessions, links: through HTTP, on both databases."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.integration.identity.world import PASSWORD, World

from runstead.platform.identity.authentication import open_cookie, seal_cookie
from runstead.platform.identity.visitor import Visitor
from runstead.testing.scenario import AS_OPERATOR, Scenario


def error(answer: httpx.Response) -> str:
    code: str = answer.json()["error"]["code"]
    return code


async def sign_in(browser: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    return await browser.post("/auth/login", json={"name": name, "password": password})


async def test_somebody_signs_in_is_known_and_signs_out(world: World) -> None:
    user_id, browser = await world.person("Ada", "viewer")
    me = (await browser.get("/auth/me")).json()
    assert (me["kind"], me["id"], me["name"], me["roles"]) == ("user", user_id, "Ada", ["viewer"])
    assert (await browser.post("/auth/logout")).status_code == 200
    assert (await browser.get("/auth/me")).json()["kind"] == "anonymous"
    assert "session.end" in world.trail.actions()


@pytest.mark.req("AUTH-003")
async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(world: World) -> None:
    await world.accounts.people.create(name="Ada", password=PASSWORD)
    browser = await world.browser()
    plain = await sign_in(browser, "Ada")
    secure = await browser.post("https://127.0.0.1/auth/login", json={"name": "Ada", "password": PASSWORD})
    for answer, prefix in ((plain, ""), (secure, "__Host-")):
        cookies = {}
        for text in answer.headers.get_list("set-cookie"):
            pair, *rest = (part.strip() for part in text.split(";"))
            cookies[pair.partition("=")[0]] = set(rest)
        session, token = cookies[f"{prefix}runstead"], cookies[f"{prefix}runstead-csrf"]
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= session
        assert {"Path=/", "SameSite=strict"} <= token
        assert "HttpOnly" not in token, "pages of this origin read it"
        assert ("Secure" in session) == ("Secure" in token) == (answer is secure)
    assert secure.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "password"), [("Ada", "wrong"), ("Nobody", PASSWORD), ("Eve", PASSWORD), ("Ada", "x" * 1024)]
)
async def test_what_is_wrong_is_not_told(world: World, name: str, password: str) -> None:
    await world.accounts.people.create(name="Ada", password=PASSWORD)
    eve = await world.accounts.people.create(name="Eve", password=PASSWORD)
    await world.accounts.people.change(eve.id, disabled=True)
    answer = await sign_in(await world.browser(), name, password)
    assert (answer.status_code, error(answer)) == (401, "E_AUTH")
    assert answer.json()["error"]["message"] == "That name and password do not fit together."
    assert world.trail.entries[-1]["outcome"] == "failure"
    assert name != "Nobody" or name not in str(world.trail.entries[-1])


async def test_names_and_mail_addresses_are_compared_as_people_do(world: World) -> None:
    await world.accounts.people.create(name="Ada", mail="Ada@Example.org", password=PASSWORD)
    for name in ("ada", "ADA", "ada@example.org", "\uff21da"):
        assert (await sign_in(await world.browser(), name)).status_code == 200, name


async def test_guesses_lock_the_address_and_the_account_and_the_right_password_waits_too(
    world: World,
) -> None:
    await world.accounts.people.create(name="Ada", password=PASSWORD)
    browser = await world.browser()
    for _ in range(3):
        assert (await sign_in(browser, "Ada", "wrong")).status_code == 401
    locked = await sign_in(browser, "Ada")
    assert (locked.status_code, error(locked), locked.headers["retry-after"]) == (429, "E_LOCKED", "1")
    world.clock.advance(1.1)
    assert (await sign_in(browser, "Ada", "wrong")).status_code == 401
    assert (await sign_in(browser, "Ada")).headers["retry-after"] == "2"
    world.clock.advance(2.1)
    assert (await sign_in(browser, "Ada")).status_code == 200
    assert (await sign_in(browser, "Ada", "wrong")).status_code == 401, "success forgets what was counted"


async def test_of_many_guesses_at_once_no_more_are_tried_than_one_after_the_other(world: World) -> None:
    await world.accounts.people.create(name="Ada", password=PASSWORD)
    browser = await world.browser()
    answers = await asyncio.gather(*(sign_in(browser, "Ada", f"guess {n}") for n in range(50)))
    assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 47


async def test_wrong_tokens_lock_the_address_but_not_the_open_doors(world: World) -> None:
    browser = await world.browser()
    for _ in range(3):
        answer = await browser.get("/api/users", headers={"Authorization": "Bearer guess"})
        assert answer.status_code == 401
    assert (await world.administrator.get("/api/users")).status_code == 429
    assert (await browser.get("/healthz")).status_code == 200
    assert (await browser.get("/auth/me", headers={"X-Admin-Token": "guess"})).status_code == 429
    world.clock.advance(1.1)
    assert (await world.administrator.get("/api/users")).status_code == 200


async def test_a_session_is_always_a_new_one_and_ends_the_one_before(world: World) -> None:
    _, browser = await world.person("Ada", "viewer")
    first = browser.cookies["runstead"]
    await sign_in(browser, "Ada")
    assert browser.cookies["runstead"] != first
    stranger = await world.browser()
    assert (await stranger.get("/auth/me", headers={"Cookie": f"runstead={first}"})).json()[
        "kind"
    ] == "anonymous"


async def test_a_cookie_that_was_changed_or_made_up_opens_nothing(world: World) -> None:
    _, browser = await world.person("Ada", "viewer")
    value = browser.cookies["runstead"]
    opened = open_cookie(world.accounts.sealer, value)
    assert opened is not None
    session_id, secret = opened
    forged = [
        value[:-4] + ("AAAA" if value[-4:] != "AAAA" else "BBBB"),
        value[:40],
        "",
        "%%%",
        f"{session_id}.{secret}",
        seal_cookie(world.accounts.sealer, session_id, "another secret"),
        seal_cookie(world.accounts.sealer, "another session", secret),
    ]
    stranger = await world.browser()
    for one in forged:
        me = await stranger.get("/auth/me", headers={"Cookie": f"runstead={one}"})
        assert me.json()["kind"] == "anonymous", one


@pytest.mark.req("AUTH-003")
async def test_a_session_ends_when_it_is_unused_and_when_it_is_old(world: World) -> None:
    _, browser = await world.person("Ada", "viewer")
    for _ in range(3):
        world.later(hours=11)
        assert (await browser.get("/auth/me")).json()["kind"] == "user", "use keeps it alive"
    world.later(hours=12, seconds=1)
    assert (await browser.get("/auth/me")).json()["kind"] == "anonymous"

    await sign_in(browser, "Ada")
    for _ in range(14 * 24 // 8):
        world.later(hours=8)
        await browser.get("/auth/me")
    assert (await browser.get("/auth/me")).json()["kind"] == "anonymous", "14 days are the end"


async def test_what_has_expired_is_swept_away(world: World) -> None:
    user_id, _ = await world.person("Ada", "viewer")
    assert await world.accounts.sessions.sweep() == 0
    world.later(days=2)
    assert await world.accounts.sessions.sweep() == 1
    assert await world.accounts.sessions.list(user_id) == []


async def test_a_stolen_cookie_ends_the_session_but_an_update_or_a_journey_does_not(world: World) -> None:
    _, browser = await world.person("Ada", "viewer")
    cookie = {"Cookie": f"runstead={browser.cookies['runstead']}"}
    find, sealer = world.accounts.sessions.find, world.accounts.sealer
    updated = await browser.get("/auth/me", headers={"User-Agent": "Firefox/141.2"})
    assert updated.json()["kind"] == "user"
    assert (await browser.get("/auth/me", headers={"User-Agent": "Opera"})).json()["kind"] == "user"

    opened = open_cookie(sealer, browser.cookies["runstead"])
    assert opened is not None
    assert await find(*opened, Visitor("203.0.113.9", "Firefox/140.0")), "another network, the same browser"
    assert not await find(*opened, Visitor("203.0.113.9", "curl/8")), "another network and another browser"
    assert (await browser.get("/auth/me", headers=cookie)).json()["kind"] == "anonymous", "and it is over"
    assert world.trail.entries[-1]["details"]["reason"] == "stolen"


async def test_the_oldest_session_makes_room(world: World) -> None:
    user_id, first = await world.person("Ada", "viewer")
    for _ in range(3):
        world.later(minutes=1)
        await sign_in(await world.browser(), "Ada")
    assert len(await world.accounts.sessions.list(user_id)) == 3
    assert (await first.get("/auth/me")).json()["kind"] == "anonymous"


async def test_sessions_are_listed_and_ended_one_by_one_or_all_but_this(world: World) -> None:
    _, here = await world.person("Ada", "viewer")
    there, elsewhere = await world.browser(), await world.browser()
    for browser in (there, elsewhere):
        await sign_in(browser, "Ada")
    listed = (await here.get("/auth/sessions")).json()
    assert len(listed) == 3
    assert [one["current"] for one in listed].count(True) == 1
    other = (await there.get("/auth/me")).json()["session"]
    assert (await here.delete(f"/auth/sessions/{other}")).status_code == 204
    assert (await here.delete(f"/auth/sessions/{other}")).status_code == 404
    assert (await there.get("/auth/me")).json()["kind"] == "anonymous"
    assert (await here.delete("/auth/sessions")).status_code == 204
    assert (await elsewhere.get("/auth/me")).json()["kind"] == "anonymous"
    assert (await here.get("/auth/me")).json()["kind"] == "user"


async def test_nobody_ends_the_session_of_somebody_else(world: World) -> None:
    _, ada = await world.person("Ada", "viewer")
    _, eve = await world.person("Eve", "viewer")
    session = (await ada.get("/auth/me")).json()["session"]
    assert (await eve.delete(f"/auth/sessions/{session}")).status_code == 404
    assert (await ada.get("/auth/me")).json()["kind"] == "user"


async def test_a_changed_password_ends_every_session_and_this_browser_gets_a_new_one(world: World) -> None:
    _, here = await world.person("Ada", "viewer")
    there = await world.browser()
    await sign_in(there, "Ada")
    old = here.cookies["runstead"]
    change = {"current": PASSWORD, "new": "copper-Lantern-88-meadow"}
    wrong = await here.post("/auth/password", json={**change, "current": "wrong"})
    assert (wrong.status_code, error(wrong)) == (401, "E_AUTH")
    weak = await here.post("/auth/password", json={**change, "new": "password123"})
    assert (weak.status_code, error(weak)) == (422, "E_WEAK_PASSWORD")
    assert (await here.post("/auth/password", json=change)).status_code == 200
    assert here.cookies["runstead"] != old
    assert (await here.get("/auth/me")).json()["kind"] == "user"
    assert (await there.get("/auth/me")).json()["kind"] == "anonymous"
    assert (await sign_in(there, "Ada")).status_code == 401
    assert (await sign_in(there, "Ada", change["new"])).status_code == 200


@pytest.mark.parametrize(
    "password",
    ["short", "password123", "adaadaada1", "qwertyuiop", "aaaaaaaaaaaaaaaaaaaa", "Ada@example.org"],
)
async def test_a_password_that_is_guessed_easily_is_refused(world: World, password: str) -> None:
    _, text = await world.accounts.links.create("invitation", by="test", mail="ada@example.org")
    browser = await world.browser()
    answer = await browser.post("/auth/join", json={"link": text, "name": "Ada", "password": password})
    assert (answer.status_code, error(answer)) == (422, "E_WEAK_PASSWORD")
    again = await browser.post("/auth/join", json={"link": text, "name": "Ada", "password": PASSWORD})
    assert again.status_code == 201, "the link was not used up"
    assert again.json()["mail"] == "ada@example.org"


async def test_the_first_administrator_is_made_by_a_link_that_works_once(world: World) -> None:
    path = await world.accounts.setup_path()
    assert path is not None
    assert path.startswith("/auth/sign-in#setup=")
    link = path.partition("=")[2]
    joins = [await world.browser() for _ in range(8)]
    answers = await asyncio.gather(
        *(
            browser.post("/auth/setup", json={"link": link, "name": f"Ada{n}", "password": PASSWORD})
            for n, browser in enumerate(joins)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [404] * 7
    winner = joins[[answer.status_code for answer in answers].index(201)]
    assert (await winner.get("/api/users")).status_code == 200
    assert await world.accounts.setup_path() is None


async def test_a_new_start_prints_a_new_link_and_the_old_one_is_void(world: World) -> None:
    old, new = await world.accounts.setup_path(), await world.accounts.setup_path()
    assert old is not None
    assert new is not None
    browser = await world.browser()
    body = {"name": "Ada", "password": PASSWORD}
    assert (
        await browser.post("/auth/setup", json={**body, "link": old.partition("=")[2]})
    ).status_code == 404
    world.later(hours=24)
    assert (
        await browser.post("/auth/setup", json={**body, "link": new.partition("=")[2]})
    ).status_code == 404


async def test_a_link_opens_its_own_door_only(world: World) -> None:
    user_id, _ = await world.person("Ada", "viewer")
    made = await world.administrator.post(f"/api/users/{user_id}/reset")
    text = made.json()["url"].partition("=")[2]
    browser = await world.browser()
    for door in ("setup", "join"):
        body = {"link": text, "name": "Eve", "password": PASSWORD}
        assert (await browser.post(f"/auth/{door}", json=body)).status_code == 404
    for wrong in (text[:-1], text + "x", text.partition(".")[0], ".", "a.b"):
        answer = await browser.post("/auth/reset", json={"link": wrong, "password": PASSWORD})
        assert error(answer) == "E_LINK"
    answer = await browser.post("/auth/reset", json={"link": text, "password": "copper-Lantern-88-meadow"})
    assert answer.status_code == 204
    assert (await sign_in(browser, "Ada", "copper-Lantern-88-meadow")).status_code == 200
    assert (await browser.post("/auth/reset", json={"link": text, "password": PASSWORD})).status_code == 404


async def test_a_reset_signs_everybody_out_and_nobody_in(world: World) -> None:
    user_id, ada = await world.person("Ada", "viewer")
    text = (await world.administrator.post(f"/api/users/{user_id}/reset")).json()["url"].partition("=")[2]
    stranger = await world.browser()
    await stranger.post("/auth/reset", json={"link": text, "password": "copper-Lantern-88-meadow"})
    assert (await stranger.get("/auth/me")).json()["kind"] == "anonymous"
    assert (await ada.get("/auth/me")).json()["kind"] == "anonymous"


async def test_links_are_listed_without_their_secret_and_taken_back(world: World) -> None:
    made = (await world.administrator.post("/api/links", json={"roles": ["tester"]})).json()
    listed = (await world.administrator.get("/api/links")).json()
    assert [(one["id"], one["kind"], one.get("url")) for one in listed] == [(made["id"], "invitation", None)]
    assert (await world.administrator.delete(f"/api/links/{made['id']}")).status_code == 204
    assert (await world.administrator.delete(f"/api/links/{made['id']}")).status_code == 404
    body = {"link": made["url"].partition("=")[2], "name": "Eve", "password": PASSWORD}
    assert (await (await world.browser()).post("/auth/join", json=body)).status_code == 404


SCENARIOS = [
    Scenario(name="the page is open", url="/auth/sign-in", status=200, contains=["Sign in"]),
    Scenario(name="nobody has sessions", url="/auth/sessions", status=401),
    Scenario(name="nor tokens", url="/api/tokens", status=401),
    Scenario(name="a machine is no person", url="/auth/sessions", status=403, headers=AS_OPERATOR),
    Scenario(name="nobody sees people", url="/api/users", status=401),
    Scenario(name="nor does an operator", url="/api/users", status=403, headers=AS_OPERATOR),
    Scenario(name="roles are for administrators", url="/api/roles", status=403, headers=AS_OPERATOR),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_doors(world: World, scenario: Scenario) -> None:
    await scenario.run(await world.browser())


async def test_no_hash_and_no_secret_is_ever_shown(world: World) -> None:
    user_id, ada = await world.person("Ada", "administrator")
    made = (await ada.post("/api/tokens", json={"name": "ci"})).json()
    secret = made["token"].rpartition("_")[2]
    pages = [
        await ada.get(path)
        for path in (
            "/auth/me",
            "/auth/sessions",
            "/api/tokens",
            "/api/users",
            f"/api/users/{user_id}",
            "/api/links",
        )
    ]
    seen = "".join(page.text for page in pages)
    for word in ("$argon2", "secret", secret, PASSWORD):
        assert word not in seen
