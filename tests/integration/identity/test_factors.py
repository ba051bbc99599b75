"""One-time codes, passkeys, recovery codes, trusted browsers, and the proof that dangerous acts ask for."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
import sqlalchemy as sa
from tests.integration.identity.authenticator import Authenticator
from tests.integration.identity.world import PASSWORD, World, world_on

from runstead.platform.identity.breached import is_breached
from runstead.platform.identity.tables import metadata
from runstead.platform.storage.sql import Database


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"]) if answer.is_error else ""


async def sign_in(browser: httpx.AsyncClient, name: str, **beside: Any) -> httpx.Response:
    return await browser.post("/auth/login", json={"name": name, "password": PASSWORD, **beside})


async def with_totp(
    world: World, name: str, *roles: str
) -> tuple[str, httpx.AsyncClient, pyotp.TOTP, list[str]]:
    """Somebody with one-time codes: id, browser, telephone, recovery codes."""
    user_id, browser = await world.person(name, *roles)
    offer = (await browser.post("/auth/factors/totp")).json()
    telephone = pyotp.TOTP(offer["secret"])
    assert telephone.provisioning_uri(name=name, issuer_name="127.0.0.1") == offer["uri"]
    proof = {"state": offer["state"], "code": telephone.at(world.clock.now()), "name": "telephone"}
    done = await browser.put("/auth/factors/totp", json=proof)
    assert done.status_code == 200, done.text
    world.clock.advance(30)
    return user_id, browser, telephone, done.json()["recovery_codes"]


@pytest.mark.req("AUTH-007")
async def test_a_password_alone_is_half_a_proof(world: World) -> None:
    _, browser, telephone, _ = await with_totp(world, "ada")
    other = await world.browser()
    half = await sign_in(other, "ada")
    assert (half.status_code, code(half)) == (401, "E_SECOND_FACTOR")
    assert half.json()["error"]["details"] == {"methods": ["recovery", "totp"]}
    assert not other.cookies
    wrong = await sign_in(other, "ada", code="000000")
    assert (wrong.status_code, code(wrong)) == (401, "E_AUTH")
    assert (await sign_in(other, "ada", code=telephone.at(world.clock.now()))).status_code == 200
    shown = (await browser.get("/auth/factors")).json()
    assert [(one["kind"], one["name"]) for one in shown["factors"]] == [("totp", "telephone")]
    assert shown["recovery_codes_left"] == 10


@pytest.mark.req("AUTH-007")
async def test_a_code_works_once_and_for_its_time(world: World) -> None:
    _, _, telephone, _ = await with_totp(world, "ada")
    browsers = [await world.browser() for _ in range(2)]
    present = telephone.at(world.clock.now())
    both = await asyncio.gather(*(sign_in(one, "ada", code=present) for one in browsers))
    assert sorted(one.status_code for one in both) == [200, 401], "of two at once one is refused"
    assert (
        await sign_in(browsers[0], "ada", code=telephone.at(world.clock.now(), counter_offset=-1))
    ).status_code == 401
    world.clock.advance(90)
    assert (await sign_in(browsers[0], "ada", code=present)).status_code == 401, "its time is over"
    ahead = telephone.at(world.clock.now(), counter_offset=1)
    assert (await sign_in(browsers[0], "ada", code=ahead)).status_code == 200, "clocks differ"


@pytest.mark.req("AUTH-009")
async def test_codes_cannot_be_guessed_by_half_proofs_in_between(world: World) -> None:
    """The password is known to the guesser; asking for the code again and again must not reset what is counted."""
    _, _, telephone, _ = await with_totp(world, "ada")
    browser = await world.browser()
    tried = []
    for _ in range(6):
        await sign_in(browser, "ada")
        tried.append((await sign_in(browser, "ada", code="000000")).status_code)
    assert 429 in tried
    locked = await sign_in(browser, "ada", code=telephone.at(world.clock.now()))
    assert code(locked) == "E_LOCKED", "the right code waits, too"


@pytest.mark.req("AUTH-009")
async def test_a_recovery_code_works_once(world: World) -> None:
    _, browser, _, codes = await with_totp(world, "ada")
    assert len(set(codes)) == 10
    other = await world.browser()
    assert (await sign_in(other, "ada", code=codes[0].upper().replace("-", " "))).status_code == 200
    assert (await sign_in(await world.browser(), "ada", code=codes[0])).status_code == 401
    assert (await browser.get("/auth/factors")).json()["recovery_codes_left"] == 9
    fresh = (await browser.post("/auth/factors/recovery-codes")).json()["recovery_codes"]
    assert (await sign_in(await world.browser(), "ada", code=codes[1])).status_code == 401
    assert (await sign_in(await world.browser(), "ada", code=fresh[0])).status_code == 200


async def test_one_persons_codes_are_nobody_elses(world: World) -> None:
    *_, codes = await with_totp(world, "ada")
    await with_totp(world, "bob")
    assert (await sign_in(await world.browser(), "bob", code=codes[0])).status_code == 401


async def test_a_set_up_needs_a_code_its_person_and_its_time(world: World) -> None:
    _, hers = await world.person("ada")
    _, his = await world.person("bob")
    offer = (await hers.post("/auth/factors/totp")).json()
    good = {"state": offer["state"], "code": pyotp.TOTP(offer["secret"]).at(world.clock.now())}
    assert code(await his.put("/auth/factors/totp", json=good)) == "E_WRONG_CODE"
    assert code(await hers.put("/auth/factors/totp", json=good)) == "E_CHALLENGE", "it was redeemed"
    offer = (await hers.post("/auth/factors/totp")).json()
    assert (
        code(await hers.put("/auth/factors/totp", json={**good, "state": offer["state"], "code": "1"}))
        == "E_WRONG_CODE"
    )
    offer = (await hers.post("/auth/factors/totp")).json()
    later = {"state": offer["state"], "code": pyotp.TOTP(offer["secret"]).at(world.clock.now())}
    world.clock.advance(601)
    assert code(await hers.put("/auth/factors/totp", json=later)) == "E_CHALLENGE"
    assert (await hers.get("/auth/factors")).json()["factors"] == []


async def test_the_database_gives_no_code_away(world: World, database: Database) -> None:
    _, _, telephone, codes = await with_totp(world, "ada")

    def dump(connection: sa.Connection) -> str:
        return repr(
            [tuple(row) for table in metadata.sorted_tables for row in connection.execute(table.select())]
        )

    text = await database.read(dump)
    assert telephone.secret not in text
    assert not [one for one in codes if one in text or one.replace("-", "") in text]


async def test_a_factor_is_taken_away_by_its_owner_or_for_them(world: World) -> None:
    user_id, browser, _, _ = await with_totp(world, "ada")
    _, his = await world.person("bob")
    factor = (await browser.get("/auth/factors")).json()["factors"][0]["id"]
    assert (await his.delete(f"/auth/factors/{factor}")).status_code == 404
    assert (await browser.delete(f"/auth/factors/{factor}")).status_code == 204
    assert (await browser.get("/auth/factors")).json() == {"factors": [], "recovery_codes_left": 0}
    assert (await sign_in(await world.browser(), "ada")).status_code == 200
    lost_id, *_ = await with_totp(world, "eve")
    assert (await world.administrator.delete(f"/api/users/{lost_id}/factors")).status_code == 204
    assert (await sign_in(await world.browser(), "eve")).status_code == 200
    assert (await browser.delete(f"/api/users/{user_id}/factors")).status_code == 403
    assert world.trail.actions().count("identity.factor") == 4


async def with_passkey(world: World, name: str) -> tuple[str, httpx.AsyncClient, Authenticator]:
    user_id, browser = await world.person(name)
    key = Authenticator()
    offer = (await browser.post("/auth/factors/passkey")).json()
    assert offer["options"]["rp"]["id"] == "127.0.0.1"
    answer = {"state": offer["state"], "credential": key.create(offer["options"]), "name": "key"}
    done = await browser.put("/auth/factors/passkey", json=answer)
    assert done.status_code == 200, done.text
    assert [one["kind"] for one in done.json()["factors"]] == ["passkey"]
    return user_id, browser, key


async def by_passkey(browser: httpx.AsyncClient, key: Authenticator, **bent: Any) -> httpx.Response:
    offer = (await browser.post("/auth/passkey/options")).json()
    answer = {"state": offer["state"], "credential": key.get(offer["options"], **bent)}
    return await browser.post("/auth/passkey", json=answer)


@pytest.mark.req("AUTH-007")
async def test_a_passkey_signs_in_alone_or_beside_a_password(world: World) -> None:
    user_id, _, key = await with_passkey(world, "ada")
    browser = await world.browser()
    alone = await by_passkey(browser, key)
    assert (alone.status_code, alone.json()["id"]) == (200, user_id)
    assert (await browser.get("/auth/sessions")).json()[0]["method"] == "passkey"
    other = await world.browser()
    half = await sign_in(other, "ada")
    assert half.json()["error"]["details"] == {"methods": ["passkey"]}
    offer = (await other.post("/auth/passkey/options")).json()
    proof = {"state": offer["state"], "credential": key.get(offer["options"])}
    assert (await sign_in(other, "ada", passkey=proof)).status_code == 200


@pytest.mark.parametrize(
    "bend",
    [
        {"origin": "https://evil.example"},
        {"type": "webauthn.create"},
        {"challenge": "AAAA"},
    ],
)
async def test_an_answer_that_was_bent_is_refused(world: World, bend: dict[str, str]) -> None:
    _, _, key = await with_passkey(world, "ada")
    refused = await by_passkey(await world.browser(), key, **bend)
    assert (refused.status_code, code(refused)) == (401, "E_AUTH")


async def test_attacks_on_passkeys_fail(world: World) -> None:
    _, _, key = await with_passkey(world, "ada")
    browser = await world.browser()

    async def refused(with_key: Authenticator, reason: str) -> None:
        answer = await by_passkey(browser, with_key)
        assert answer.status_code in (401, 429), reason
        assert "runstead" not in browser.cookies

    await refused(Authenticator(), "a key that nobody has registered")
    await refused(Authenticator(credential=key.credential), "a signature by another key")
    await refused(
        Authenticator(site="evil.example", key=key.key, credential=key.credential), "of another site"
    )
    world.clock.advance(3600)
    await refused(
        Authenticator(flags=0x01, key=key.key, credential=key.credential, uses=9), "nobody was verified"
    )
    offer = (await browser.post("/auth/passkey/options")).json()
    answer = {"state": offer["state"], "credential": key.get(offer["options"])}
    world.clock.advance(3600)
    assert code(await browser.post("/auth/passkey", json=answer)) == "E_CHALLENGE", "too old"
    key.uses = 20
    offer = (await browser.post("/auth/passkey/options")).json()
    answer = {"state": offer["state"], "credential": key.get(offer["options"])}
    assert (await browser.post("/auth/passkey", json=answer)).status_code == 200
    world.clock.advance(1)
    again = await (await world.browser()).post("/auth/passkey", json=answer)
    assert code(again) == "E_CHALLENGE", "replayed"
    key.uses = 5
    copied = await by_passkey(await world.browser(), key)
    assert copied.status_code == 401, "a copy counts for itself, and gives itself away"
    for state, credential in (("x", {}), (offer["state"], {"id": 5}), ("x" * 4000, {"id": "x"})):
        body = {"state": state, "credential": credential}
        assert (await browser.post("/auth/passkey", json=body)).status_code in (401, 403, 429)


async def test_a_disabled_persons_passkey_opens_nothing(world: World) -> None:
    user_id, _, key = await with_passkey(world, "ada")
    await world.accounts.people.change(user_id, disabled=True)
    assert (await by_passkey(await world.browser(), key)).status_code == 401


@pytest.mark.req("AUTH-008")
async def test_a_trusted_browser_needs_no_second_factor_for_a_while(world: World) -> None:
    user_id, hers, telephone, _ = await with_totp(world, "ada")
    browser = await world.browser()
    trusting = await sign_in(browser, "ada", code=telephone.at(world.clock.now()), trust="yes")
    assert trusting.status_code == 200
    device = browser.cookies["runstead-device"]
    plain = await world.browser(Cookie=f"runstead-device={device}")
    assert (await sign_in(plain, "ada")).status_code == 200
    # It is trusted with one person, and without a password it is worth nothing.
    await with_totp(world, "bob")
    assert (await sign_in(await world.browser(Cookie=f"runstead-device={device}"), "bob")).status_code == 401
    assert (
        await (await world.browser(Cookie=f"runstead-device={device}")).get("/auth/sessions")
    ).status_code == 401
    listed = (await hers.get("/auth/devices")).json()
    trusted = next(one for one in listed if one["trusted_until"])
    assert (await hers.delete(f"/auth/devices/{trusted['id']}")).status_code == 204
    assert (await hers.delete(f"/auth/devices/{trusted['id']}")).status_code == 404
    assert (await sign_in(await world.browser(Cookie=f"runstead-device={device}"), "ada")).status_code == 401
    assert user_id


async def test_trust_ends_with_its_time_and_with_the_factors(world: World) -> None:
    _, _, telephone, _ = await with_totp(world, "ada")
    browser = await world.browser()
    await sign_in(browser, "ada", code=telephone.at(world.clock.now()), trust="yes")
    device = browser.cookies["runstead-device"]
    world.later(days=31)
    late = await world.browser(Cookie=f"runstead-device={device}")
    assert (await sign_in(late, "ada")).status_code == 401


@pytest.mark.req("AUTH-009")
async def test_a_sign_in_from_a_strange_place_is_noticed(world: World) -> None:
    _, known = await world.person("ada")
    assert (await sign_in(known, "ada")).json()["notice"] == ""
    stranger = await world.browser(**{"User-Agent": "Curl/8"})
    stranger._transport.client = ("198.51.100.9", 1)  # type: ignore[attr-defined]
    assert (await sign_in(stranger, "ada")).json()["notice"] == "suspicious"
    assert "identity.suspicious" in world.trail.actions()
    # The same browser elsewhere, or another one at home, is nothing special.
    travelling = await world.browser()
    travelling._transport.client = ("203.0.113.9", 1)  # type: ignore[attr-defined]
    assert (await sign_in(travelling, "ada")).json()["notice"] == ""
    assert world.trail.actions().count("identity.suspicious") == 1


@pytest.mark.req("AUTH-007")
@pytest.mark.parametrize("policy", ["administrators", "everyone"])
async def test_a_demanded_factor_must_be_set_up_before_anything_else(database: Database, policy: str) -> None:
    async with world_on(database, second_factor=policy) as world:
        _, admin = await world.person("root", "administrator")
        _, viewer = await world.person("eve", "viewer")
        assert (await admin.get("/auth/me")).json()["notice"] == "second_factor"
        assert (await admin.get("/api/users")).status_code == 403
        assert (await admin.post("/api/tokens", json={"name": "way out"})).status_code == 403
        limited = policy == "everyone"
        assert ((await viewer.get("/auth/me")).json()["notice"] == "second_factor") == limited
        offer = (await admin.post("/auth/factors/totp")).json()
        proof = {"state": offer["state"], "code": pyotp.TOTP(offer["secret"]).at(world.clock.now())}
        assert (await admin.put("/auth/factors/totp", json=proof)).status_code == 200
        assert (await admin.get("/api/users")).status_code == 200
        assert (await admin.get("/auth/me")).json()["notice"] == ""


@pytest.mark.req("AUTH-008")
async def test_dangerous_acts_ask_for_a_fresh_proof(world: World) -> None:
    user_id, admin = await world.person("root", "administrator")
    assert (await admin.post("/api/users", json={"name": "one"})).status_code == 201
    world.later(minutes=61)
    stale = await admin.post("/api/users", json={"name": "two"})
    assert (stale.status_code, code(stale)) == (403, "E_STEP_UP")
    assert stale.json()["error"]["details"]["prove_at"] == "/auth/prove"
    assert code(await admin.post("/auth/factors/totp")) == "E_STEP_UP"
    assert (await admin.get("/api/users")).status_code == 200, "looking is not dangerous"
    assert (await admin.post("/auth/prove", json={"password": "wrong"})).status_code == 401
    assert (await admin.post("/auth/prove", json={"password": PASSWORD})).status_code == 204
    assert (await admin.post("/api/users", json={"name": "two"})).status_code == 201
    # A token was made on purpose, and has nobody at a keyboard behind it.
    token = (await admin.post("/api/tokens", json={"name": "program"})).json()["token"]
    world.later(minutes=61)
    program = await world.browser(Authorization=f"Bearer {token}")
    assert (await program.post("/api/users", json={"name": "three"})).status_code == 201
    assert user_id


@pytest.mark.req("AUTH-009")
async def test_a_password_from_a_breach_is_refused(database: Database, tmp_path: Path) -> None:
    passwords = [f"password-number-{number}" for number in range(500)] + [PASSWORD]
    hashes = sorted(hashlib.sha1(one.encode()).hexdigest().upper() for one in passwords)
    file = tmp_path / "breached"
    file.write_text("".join(f"{one}:{number}\n" for number, one in enumerate(hashes)))
    assert all(is_breached(file, one) for one in passwords)
    assert not [one for one in range(500) if is_breached(file, f"another-{one}")]
    file.with_name("empty").write_text("")
    assert not is_breached(file.with_name("empty"), PASSWORD)
    async with world_on(database, breached_passwords=file) as world:
        world.accounts.passwords._breached = file
        link = (await world.administrator.post("/api/links", json={})).json()["url"].partition("=")[2]
        browser = await world.browser()
        refused = await browser.post("/auth/join", json={"link": link, "name": "ada", "password": PASSWORD})
        assert (refused.status_code, code(refused)) == (422, "E_WEAK_PASSWORD")
        assert "breach" in refused.text
