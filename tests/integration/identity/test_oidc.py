"""Signing in through a real provider, and every attack on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from tests.integration.identity.world import PASSWORD, World, world_on
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET

from runstead.kernel.secret import Secret
from runstead.platform.identity.oidc import provider as provider_module
from runstead.platform.identity.settings import Provider
from runstead.platform.storage.sql import Database

PROGRAM = Path(__file__).parents[2] / "oidc_provider.py"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The provider in its own process."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROGRAM.parents[1]),
        "AUTHLIB_INSECURE_TRANSPORT": "1",
        "PYTHONWARNINGS": "ignore",
    }
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the provider does not start"
        yield address
    finally:
        process.kill()
        process.wait(timeout=30)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
async def outside(issuer: str) -> AsyncIterator[httpx.AsyncClient]:
    """What speaks with the provider; it behaves again afterwards."""
    async with httpx.AsyncClient(base_url=issuer) as client:
        yield client
        await client.post("/bend", json={})


async def open_secret(secret_id: str) -> Secret:
    assert secret_id == "oidc-test"
    return Secret(CLIENT_SECRET)


@pytest.fixture
async def world(database: Database, issuer: str) -> AsyncIterator[World]:
    one = Provider(
        name="test",
        issuer=issuer,
        client_id=CLIENT_ID,
        client_secret="secret://oidc-test",
        sign_up=True,
        roles=("viewer",),
    )
    other = Provider(name="closed", issuer=issuer, client_id=CLIENT_ID, client_secret="secret://oidc-test")
    async with world_on(database, providers=(one, other), secret=open_secret, real_time=True) as opened:
        yield opened


def problem(answer: httpx.Response) -> str:
    assert answer.status_code == 303
    return answer.headers["location"].partition("#problem=")[2]


async def away(browser: httpx.AsyncClient, **query: str) -> str:
    """The provider's address to which the browser is sent."""
    answer = await browser.get("/auth/login/test", params=query)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def back(outside: httpx.AsyncClient, address: str, user: str = "ada") -> str:
    """Sign in at the provider; the address to which it sends the browser back, as path and query."""
    answer = await outside.get(f"{address}&user={user}")
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://127.0.0.1/auth/callback/test"
    return f"{parts.path}?{parts.query}"


async def round_trip(
    world: World, outside: httpx.AsyncClient, user: str = "ada", **query: str
) -> tuple[httpx.AsyncClient, httpx.Response]:
    browser = await world.browser()
    answer = await browser.get(await back(outside, await away(browser, **query), user))
    return browser, answer


def changed(path: str, **query: str | None) -> str:
    parts = urlsplit(path)
    values = {name: one[0] for name, one in parse_qs(parts.query).items()} | query
    return f"{parts.path}?{urlencode({name: value for name, value in values.items() if value is not None})}"


@pytest.mark.req("AUTH-001")
async def test_somebody_new_gets_an_account_and_the_same_one_again(
    world: World, outside: httpx.AsyncClient
) -> None:
    browser, arrived = await round_trip(world, outside, next="/hello/ada?x=1")
    assert arrived.headers["location"] == "/hello/ada?x=1"
    me = (await browser.get("/auth/me")).json()
    assert me.items() >= {"name": "ada", "mail": "ada@example.org", "roles": ["viewer"]}.items()
    assert (await browser.get("/auth/sessions")).json()[0]["method"] == "oidc:test"
    again, _ = await round_trip(world, outside)
    assert (await again.get("/auth/me")).json()["id"] == me["id"]
    assert "identity.link" in world.trail.actions()
    offered = (await browser.get("/auth/providers")).json()["providers"]
    assert [one["name"] for one in offered] == ["test", "closed"]


@pytest.mark.req("AUTH-001")
async def test_what_is_asked_of_the_provider(world: World) -> None:
    browser = await world.browser()
    asked = {name: one[0] for name, one in parse_qs(urlsplit(await away(browser)).query).items()}
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert asked["redirect_uri"] == "http://127.0.0.1/auth/callback/test"
    assert len(asked["nonce"]) >= 43
    another = parse_qs(urlsplit(await away(browser)).query)
    for name in ("state", "nonce", "code_challenge"):
        assert another[name][0] != asked[name]
    assert CLIENT_SECRET not in str(asked)


async def test_the_account_with_the_same_verified_address_is_theirs(
    world: World, outside: httpx.AsyncClient
) -> None:
    ada = await world.accounts.people.create(
        name="lovelace", mail="ada@example.org", mail_verified=True, password=PASSWORD
    )
    browser, _ = await round_trip(world, outside)
    assert (await browser.get("/auth/me")).json()["id"] == ada.id


async def test_an_address_that_is_not_verified_on_either_side_opens_nothing(
    world: World, outside: httpx.AsyncClient
) -> None:
    await world.accounts.people.create(name="lovelace", mail="ada@example.org", password=PASSWORD)
    _, arrived = await round_trip(world, outside)
    assert problem(arrived) == "E_NO_ACCOUNT", "somebody else may have prepared it"
    victim = await world.accounts.people.create(name="victim", mail="bob@example.org", mail_verified=True)
    browser, _ = await round_trip(world, outside, "bob")
    me = (await browser.get("/auth/me")).json()
    assert me["id"] != victim.id, "the provider does not vouch for the address"
    assert me["mail"] is None


async def test_without_sign_up_strangers_stay_outside(
    world: World, outside: httpx.AsyncClient, issuer: str
) -> None:
    browser = await world.browser()
    location = (await browser.get("/auth/login/closed")).headers["location"]
    # The provider knows the one redirect address only; what matters comes after.
    location = location.replace("callback%2Fclosed", "callback%2Ftest")
    path = (await back(outside, location)).replace("/callback/test", "/callback/closed")
    assert problem(await browser.get(path)) in ("E_NO_ACCOUNT", "E_PROVIDER_REFUSED")
    assert (await browser.get("/auth/me")).json()["kind"] == "anonymous"


async def test_linking_takes_a_session_with_a_fresh_proof(world: World, outside: httpx.AsyncClient) -> None:
    user_id, browser = await world.person("lovelace")

    async def link(who: httpx.AsyncClient, **headers: str) -> httpx.Response:
        return await who.post("/auth/link/test", headers=headers)

    arrived = await browser.get(await back(outside, (await link(browser)).json()["url"]))
    assert arrived.headers["location"] == "/"
    signed_in, _ = await round_trip(world, outside)
    assert (await signed_in.get("/auth/me")).json()["id"] == user_id
    _, his = await world.person("other")
    taken = await his.get(await back(outside, (await link(his)).json()["url"]))
    assert problem(taken) == "E_CONFLICT"
    assert (await link(await world.browser())).status_code == 401
    # A page of somebody else cannot link an account of theirs: neither by a link nor by a form.
    assert (await link(his, **{"X-CSRF-Token": "guess"})).status_code == 403
    assert (await link(his, Origin="https://evil.example")).status_code == 403
    state = parse_qs(urlsplit(await away(his, link="yes")).query)["state"][0]
    assert state
    world.later(minutes=61)
    assert (await link(his)).json()["error"]["code"] == "E_STEP_UP"


@pytest.mark.req("AUTH-001")
async def test_the_state_is_needed_ours_this_browsers_and_good_once(
    world: World, outside: httpx.AsyncClient
) -> None:
    browser = await world.browser()
    for state in (None, "", "x", "A" * 400):
        path = changed(await back(outside, await away(browser)), state=state)
        assert problem(await browser.get(path)) == "E_CHALLENGE", state
    # Swapped: the attacker's answer in the victim's browser (login CSRF), whether or not the victim is signing in as well.
    attacker, victim = await world.browser(), await world.browser()
    theirs = await back(outside, await away(attacker), "eve")
    assert problem(await victim.get(theirs)) == "E_CHALLENGE"
    theirs = await back(outside, await away(attacker), "eve")
    await away(victim)
    assert problem(await victim.get(theirs)) == "E_CHALLENGE"
    assert (await victim.get("/auth/me")).json()["kind"] == "anonymous"
    # The victim's own state with the attacker's code: the code belongs to another verifier.
    own = await back(outside, await away(victim))
    code = parse_qs(urlsplit(await back(outside, await away(attacker), "eve")).query)["code"][0]
    assert problem(await victim.get(changed(own, code=code))) == "E_PROVIDER_REFUSED"
    # Replayed.
    good = await back(outside, await away(victim))
    assert (await victim.get(good)).headers["location"] == "/"
    assert problem(await victim.get(good)) == "E_CHALLENGE"


@pytest.mark.req("AUTH-001")
async def test_a_code_is_taken_once_and_with_its_verifier_only(
    world: World, outside: httpx.AsyncClient
) -> None:
    browser = await world.browser()
    first = await back(outside, await away(browser))
    code = parse_qs(urlsplit(first).query)["code"][0]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": "http://127.0.0.1/auth/callback/test",
    }
    stolen = await outside.post("/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    assert stolen.status_code == 400, "without the verifier a stolen code is worth nothing"
    wrong = await outside.post(
        "/token", data={**form, "code_verifier": "x" * 43}, auth=(CLIENT_ID, CLIENT_SECRET)
    )
    assert wrong.status_code == 400
    assert (await browser.get(first)).headers["location"] == "/"
    second = await back(outside, await away(browser))
    assert problem(await browser.get(changed(second, code=code))) == "E_PROVIDER_REFUSED", "replayed"


async def test_a_provider_may_say_no_and_may_not_be_mixed_up(
    world: World, outside: httpx.AsyncClient
) -> None:
    browser = await world.browser()
    path = await back(outside, await away(browser))
    assert problem(await browser.get(changed(path, code=None, error="access_denied"))) == "E_PROVIDER_REFUSED"
    path = await back(outside, await away(browser))
    assert problem(await browser.get(changed(path, iss="https://evil.example"))) == "E_PROVIDER_REFUSED"
    path = await back(outside, await away(browser))
    mixed = path.replace("/callback/test", "/callback/closed")
    assert problem(await browser.get(mixed)) == "E_CHALLENGE", "the state is of another provider"
    assert (await browser.get("/auth/login/nobody")).status_code == 404


BENDS: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "x" * 43}},
    "no nonce": {"claims": {"nonce": None}},
    "another audience": {"claims": {"aud": "another-client"}},
    "an audience of others": {"claims": {"aud": ["another-client", "third"]}},
    "several audiences without a party": {"claims": {"aud": [CLIENT_ID, "another"]}},
    "another party": {"claims": {"aud": [CLIENT_ID], "azp": "another-client"}},
    "no audience": {"claims": {"aud": None}},
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "no issuer": {"claims": {"iss": None}},
    "nobody": {"claims": {"sub": None}},
    "an empty name": {"claims": {"sub": ""}},
    "a number as name": {"claims": {"sub": 1}},
    "expired": {"times": {"exp": -3600, "iat": -7200}},
    "without an end": {"claims": {"exp": None}},
    "an end that is no number": {"claims": {"exp": "tomorrow"}},
    "of the future": {"times": {"iat": 3600, "exp": 7200}},
    "not yet": {"times": {"nbf": 3600}},
    "made long ago": {"times": {"iat": -7200}},
    "of another access token": {"claims": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "alg=none": {"sign": "none"},
    "the public key as a password": {"sign": "confused"},
    "a stranger's key under a known name": {"sign": "stranger"},
    "a key that is not published": {"sign": "unpublished"},
    "a key that it brings along": {"sign": "embedded"},
    "changed after it was signed": {"sign": "changed"},
}


@pytest.mark.req("AUTH-001")
@pytest.mark.parametrize("bend", list(BENDS.values()), ids=list(BENDS))
async def test_a_bad_id_token_signs_nobody_in(
    world: World, outside: httpx.AsyncClient, bend: dict[str, Any]
) -> None:
    await outside.post("/bend", json=bend)
    browser, arrived = await round_trip(world, outside, "eve")
    assert problem(arrived) == "E_ID_TOKEN"
    assert (await browser.get("/auth/me")).json()["kind"] == "anonymous"
    assert "runstead" not in browser.cookies
    assert world.trail.entries[-1]["outcome"] == "failure"
    await outside.post("/bend", json={})
    _, arrived = await round_trip(world, outside, "eve")
    assert arrived.headers["location"] == "/", "the good one is let in"


@pytest.mark.req("AUTH-001")
async def test_new_keys_of_the_provider_are_found(
    world: World, outside: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arrived = await round_trip(world, outside)
    assert arrived.headers["location"] == "/"
    await outside.post("/bend", json={"new_key": True})
    _, arrived = await round_trip(world, outside)
    assert problem(arrived) == "E_ID_TOKEN", "made-up keys must not make us ask all the time"
    monkeypatch.setattr(provider_module, "KEYS_SECONDS_MIN", 0.0)
    _, arrived = await round_trip(world, outside)
    assert arrived.headers["location"] == "/"


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "\\/evil",
        "/x\r\nSet-Cookie: a=b",
        "",
    ],
)
async def test_nobody_is_led_elsewhere_afterwards(
    world: World, outside: httpx.AsyncClient, wanted: str
) -> None:
    _, arrived = await round_trip(world, outside, next=wanted)
    assert arrived.headers["location"] == "/"


async def test_only_people_of_the_organization(
    database: Database, issuer: str, outside: httpx.AsyncClient
) -> None:
    one = Provider(
        name="test",
        issuer=issuer,
        client_id=CLIENT_ID,
        client_secret="secret://oidc-test",
        sign_up=True,
        mail_domains=("example.org",),
    )
    async with world_on(database, providers=(one,), secret=open_secret, real_time=True) as world:
        assert problem((await round_trip(world, outside, "eve"))[1]) == "E_NO_ACCOUNT"
        assert problem((await round_trip(world, outside, "bob"))[1]) == "E_NO_ACCOUNT", "not verified"
        assert (await round_trip(world, outside, "ada"))[1].headers["location"] == "/"


async def test_a_disabled_account_stays_shut(world: World, outside: httpx.AsyncClient) -> None:
    browser, _ = await round_trip(world, outside)
    me = (await browser.get("/auth/me")).json()["id"]
    await world.accounts.people.change(me, disabled=True)
    assert problem((await round_trip(world, outside))[1]) == "E_AUTH"


async def test_a_provider_that_is_another_or_away_is_named(
    database: Database, outside: httpx.AsyncClient, issuer: str
) -> None:
    gone = Provider(name="gone", issuer="http://127.0.0.1:9", client_id="x")
    liar = Provider(name="liar", issuer=issuer, client_id="x")
    await outside.post("/bend", json={"issuer": "https://accounts.example"})
    async with world_on(database, providers=(gone, liar), secret=open_secret) as world:
        browser = await world.browser()
        for name in ("gone", "liar"):
            answer = await browser.get(f"/auth/login/{name}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "E_PROVIDER")
