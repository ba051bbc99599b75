"""Secrets on both databases and through HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.integration.identity.world import Trail, World, world_on

from runstead.kernel.clock import rfc3339
from runstead.kernel.secret import Secret
from runstead.platform.observability import Redactor
from runstead.platform.secrets import (
    MIGRATIONS,
    MasterKeys,
    SealBrokenError,
    SecretExpiredError,
    SecretNotFoundError,
    SecretsSettings,
    Vault,
    open_master_keys,
)
from runstead.platform.secrets.http import secret_routes
from runstead.platform.secrets.rotation import BATCH_ROWS
from runstead.platform.secrets.tables import metadata, versions
from runstead.platform.storage.sql import Database, migrate
from runstead.testing.clock import FakeClock
from runstead.testing.scenario import AS_ADMINISTRATOR, AS_OPERATOR, running

PATH = "/editor/api/secrets"
CANARY = "canary-Zq8-of-the-vault"


@dataclass
class Safe:
    db: Database
    vault: Vault
    keys: MasterKeys
    redactor: Redactor
    trail: Trail
    clock: FakeClock
    folder: Path

    async def reopened(self) -> Safe:
        """As after a fall of the server."""
        return await safe_on(self.db, self.folder)


async def safe_on(database: Database, folder: Path, **settings: Any) -> Safe:
    await migrate(database, {"secrets": MIGRATIONS})
    keys = await open_master_keys(database, data_dir=folder)
    redactor, trail, clock = Redactor(), Trail(), FakeClock()
    vault = Vault(
        database,
        keyring=keys.keyring,
        settings=SecretsSettings(**settings),
        trail=trail,
        masker=redactor,
        clock=clock,
    )
    return Safe(database, vault, keys, redactor, trail, clock, folder)


@pytest.fixture
async def safe(database: Database, tmp_path: Path) -> Safe:
    return await safe_on(database, tmp_path)


@pytest.fixture
async def client(safe: Safe) -> AsyncIterator[httpx.AsyncClient]:
    routes = [secret_routes(safe.vault, safe.keys, safe.trail)]
    async with running(headers=AS_ADMINISTRATOR, routes=routes) as one:
        yield one


@pytest.fixture
async def world(safe: Safe) -> AsyncIterator[World]:
    routes = [secret_routes(safe.vault, safe.keys, safe.trail)]
    async with world_on(safe.db, routes=routes, migrations={"secrets": MIGRATIONS}) as one:
        yield one


async def dump(database: Database) -> str:
    """Everything that the tables hold, as text."""

    def work(connection: sa.Connection) -> str:
        rows = [tuple(row) for table in metadata.sorted_tables for row in connection.execute(table.select())]
        return repr(rows)

    return await database.read(work)


async def test_the_whole_life_of_a_secret(client: httpx.AsyncClient, safe: Safe) -> None:
    made = await client.post(PATH, json={"id": "stripe", "value": CANARY, "description": "for tests"})
    assert made.status_code == 201, made.text
    assert made.json().items() >= {"id": "stripe", "description": "for tests", "usageCount": 0}.items()
    assert made.json()["createdBy"] == "machine:administrator"
    assert made.json()["lastUsed"] is None

    assert (await safe.vault.use("stripe", used_by="app:hello")).reveal() == CANARY
    assert (await safe.vault.use("stripe", used_by="app:hello")).reveal() == CANARY
    (listed,) = (await client.get(PATH)).json()["secrets"]
    assert listed["usageCount"] == 2
    assert listed["lastUsed"] is not None
    usage = (await client.get(f"{PATH}/stripe/usage")).json()
    assert [(one["usedBy"], one["count"]) for one in usage["usedBy"]] == [("app:hello", 2)]

    changed = await client.put(f"{PATH}/stripe", json={"value": "another-value"})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert (await safe.vault.use("stripe", used_by="job:1")).reveal() == "another-value"
    restored = await client.post(f"{PATH}/stripe/restore", json={"version": 1})
    assert restored.json()["version"] == 3
    assert (await safe.vault.use("stripe", used_by="job:1")).reveal() == CANARY

    assert (await client.delete(f"{PATH}/stripe")).status_code == 204
    assert (await client.get(f"{PATH}/stripe")).status_code == 404
    with pytest.raises(SecretNotFoundError, match="'stripe' in server"):
        await safe.vault.use("stripe", used_by="job:1")
    acts = [one for one in safe.trail.actions() if one != "secret.read"]
    assert acts == ["secret.create", "secret.update", "secret.update", "secret.delete"]


async def test_no_answer_and_no_column_holds_the_value(client: httpx.AsyncClient, safe: Safe) -> None:
    answers = [
        await client.post(PATH, json={"id": "one", "value": CANARY}),
        await client.post(PATH, json={"id": "one", "value": CANARY}),
        await client.get(PATH),
        await client.get(f"{PATH}/one"),
        await client.get(f"{PATH}/one/usage"),
        await client.put(f"{PATH}/one", json={"value": CANARY + "2"}),
        await client.post(f"{PATH}/one/restore", json={"version": 9}),
        await client.put(f"{PATH}/one", json={"value": CANARY, "unknown": 1}),
        await client.post(PATH, json={"id": "../x", "value": CANARY}),
    ]
    assert [one.status_code for one in answers] == [201, 409, 200, 200, 200, 200, 404, 400, 400]
    assert not [one.text for one in answers if CANARY in one.text]
    assert CANARY not in await dump(safe.db)
    assert safe.redactor.scrub_text(f"x={CANARY}") == "x=***"


async def test_rows_cannot_be_exchanged(safe: Safe) -> None:
    await safe.vault.create("mine", Secret("my-value"))
    await safe.vault.create("theirs", Secret("their-value"))

    def swap(connection: sa.Connection) -> None:
        row = connection.execute(versions.select().where(versions.c.id == "theirs")).mappings().one()
        stolen = {name: row[name] for name in ("master", "wrapped", "sealed")}
        connection.execute(versions.update().where(versions.c.id == "mine").values(**stolen))

    await safe.db.write(swap)
    with pytest.raises(SealBrokenError):
        await safe.vault.use("mine", used_by="me")


async def test_only_so_many_values_are_kept(safe: Safe) -> None:
    await safe.vault.create("one", Secret("value-0"))
    for number in range(1, 8):
        await safe.vault.update("one", value=Secret(f"value-{number}"))
    assert [one.version for one in await safe.vault.versions("one")] == [8, 7, 6, 5, 4]
    with pytest.raises(SecretNotFoundError, match="version 3"):
        await safe.vault.restore("one", 3)


async def test_scopes_are_apart_and_the_first_wins(safe: Safe) -> None:
    await safe.vault.create("key", Secret("of-all"))
    await safe.vault.create("key", Secret("of-app"), scope="app:hello")
    scopes = ("app:hello", "server")
    assert (await safe.vault.use("key", used_by="x", scopes=scopes)).reveal() == "of-app"
    assert (await safe.vault.use("key", used_by="x", scopes=("app:other", "server"))).reveal() == "of-all"
    with pytest.raises(SecretNotFoundError):
        await safe.vault.use("key", used_by="x", scopes=("app:other",))
    await safe.vault.create("only", Secret("here"), scope="app:hello")
    assert await safe.vault.names(scopes) == ["key", "only"]
    assert await safe.vault.delete_scope("app:hello") == 2
    assert await safe.vault.names(scopes) == ["key"]


async def test_a_secret_ends_and_is_told_of_once_before(safe: Safe) -> None:
    ends = safe.clock.now() + timedelta(days=10)
    await safe.vault.create("soon", Secret("value-soon"), expires_at=ends)
    await safe.vault.create("later", Secret("value-later"), expires_at=ends + timedelta(days=10))
    assert [one.id for one in await safe.vault.warn()] == ["soon"]
    assert list(await safe.vault.warn()) == []
    await safe.vault.update("soon", expires_at=ends + timedelta(days=1), keep_expiry=False)
    assert [one.id for one in await safe.vault.warn()] == ["soon"]
    safe.clock.advance(timedelta(days=11).total_seconds())
    with pytest.raises(SecretExpiredError):
        await safe.vault.use("soon", used_by="x")
    await safe.vault.update("soon", keep_expiry=False)
    assert (await safe.vault.use("soon", used_by="x")).reveal() == "value-soon"


async def test_uses_are_written_in_batches_and_not_lost_at_the_end(safe: Safe) -> None:
    await safe.vault.create("one", Secret("value-one"))
    async with safe.vault.opened():
        for _ in range(50):
            await safe.vault.use("one", used_by="app:a")
    entry = (await (await safe.reopened()).vault.list())[0]
    assert entry.uses == 50
    read = [one for one in safe.trail.entries if one["action"] == "secret.read"]
    assert sum(one["details"]["count"] for one in read) == 50


async def test_a_broken_database_keeps_the_counts(safe: Safe, monkeypatch: pytest.MonkeyPatch) -> None:
    await safe.vault.create("one", Secret("value-one"))
    await safe.vault.use("one", used_by="app:a")
    write = safe.db.write

    async def broken(*_args: object, **_options: object) -> None:
        raise OSError("disk gone")

    monkeypatch.setattr(safe.db, "write", broken)
    with pytest.raises(OSError, match="disk gone"):
        await safe.vault.list()
    monkeypatch.setattr(safe.db, "write", write)
    await safe.vault.use("one", used_by="app:a")
    assert (await safe.vault.get("one")).uses == 2


async def test_another_master_key_while_the_server_runs(client: httpx.AsyncClient, safe: Safe) -> None:
    for number in range(BATCH_ROWS + 5):
        await safe.vault.create(f"s{number}", Secret(f"value-{number}"))
    logs_key, before = await safe.keys.server_key("logs"), safe.keys.keyring.current
    file = safe.folder / "master-key"
    old = file.read_bytes()
    answer = await client.post(f"{PATH}/rotate-master-key")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"key": safe.keys.keyring.current, "wrapped": BATCH_ROWS + 6}
    assert safe.keys.keyring.current != before
    assert old not in file.read_bytes()
    assert file.read_bytes().count(b"\n") == 1
    # The same values and server keys, in this process and after a restart, which knows the new key only.
    for each in (safe, await safe.reopened()):
        assert (await each.vault.use("s7", used_by="x")).reveal() == "value-7"
        assert await each.keys.server_key("logs") == logs_key
    assert "secret.master" in safe.trail.actions()


async def test_a_change_of_the_master_key_that_was_cut_off_goes_on(
    safe: Safe, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        await safe.vault.create(f"s{number}", Secret(f"value-{number}"))
    monkeypatch.setattr("runstead.platform.secrets.rotation.BATCH_ROWS", 3)
    write, calls = safe.db.write, 0

    async def falls(work: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise OSError("the machine falls")
        return await write(work, **options)

    monkeypatch.setattr(safe.db, "write", falls)
    with pytest.raises(OSError, match="falls"):
        await safe.keys.rotate(safe.trail)
    monkeypatch.setattr(safe.db, "write", write)
    file = safe.folder / "master-key"
    assert file.read_bytes().count(b"\n") == 2
    again = await safe.reopened()
    assert (await again.vault.use("s9", used_by="x")).reveal() == "value-9"
    async with again.keys.opened():
        assert file.read_bytes().count(b"\n") == 1
    assert (await (await safe.reopened()).vault.use("s0", used_by="x")).reveal() == "value-0"


async def test_a_key_from_outside_is_changed_outside(safe: Safe) -> None:
    first, second = "11" * 32, "22" * 32
    database, folder = safe.db, safe.folder / "elsewhere"

    async def keys(text: str) -> MasterKeys:
        return await open_master_keys(database, data_dir=folder, given=Secret(text))

    one = await keys(first)
    wanted = await one.server_key("x")
    async with running(
        headers=AS_ADMINISTRATOR, routes=[secret_routes(safe.vault, one, safe.trail)]
    ) as client:
        refused = await client.post(f"{PATH}/rotate-master-key")
    assert refused.status_code == 409
    assert "RUNSTEAD_MASTER_KEY" in refused.json()["error"]["message"]
    with pytest.raises(SealBrokenError, match="second line"):
        await (await keys(second)).server_key("x")
    both = await keys(f"{second}\n{first}")
    async with both.opened():
        pass
    assert await (await keys(second)).server_key("x") == wanted


async def test_people_see_and_change_what_they_put_in(world: World) -> None:
    ada, hers = await world.person("ada", "developer")
    _, his = await world.person("bob", "developer")
    _, watching = await world.person("eve", "viewer")
    assert (await hers.post(PATH, json={"id": "hers", "value": CANARY})).status_code == 201
    assert (await watching.get(PATH)).status_code == 403
    assert (await watching.post(PATH, json={"id": "x", "value": CANARY})).status_code == 403
    assert (await his.get(PATH)).status_code == 200
    assert (await his.put(f"{PATH}/hers", json={"value": "stolen!"})).status_code == 403
    assert (await his.delete(f"{PATH}/hers")).status_code == 403
    assert (await hers.put(f"{PATH}/hers", json={"value": "another"})).status_code == 200

    own = {"scope": f"user:{ada}"}
    assert (await hers.post(PATH, params=own, json={"id": "mine", "value": CANARY})).status_code == 201
    for stranger in (his, world.administrator):
        assert (await stranger.get(PATH, params=own)).status_code == 403
        assert (await stranger.get(f"{PATH}/mine", params=own)).status_code == 403
        assert (await stranger.get(f"{PATH}/other", params=own)).status_code == 403
    assert [one["id"] for one in (await hers.get(PATH, params=own)).json()["secrets"]] == ["mine"]


async def test_who_has_no_business_here_is_refused(safe: Safe) -> None:
    routes = [secret_routes(safe.vault, safe.keys, safe.trail)]
    for headers, status in (({}, 401), (AS_OPERATOR, 403)):
        async with running(headers=headers, routes=routes) as one:
            for method, path in (
                ("GET", PATH), ("POST", PATH), ("GET", f"{PATH}/x"), ("PUT", f"{PATH}/x"), ("DELETE", f"{PATH}/x"),
                ("GET", f"{PATH}/x/usage"), ("POST", f"{PATH}/x/restore"), ("POST", f"{PATH}/rotate-master-key"),
            ):  # fmt: skip
                answer = await one.request(method, path)
                assert answer.status_code == status, (method, path)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"id": "", "value": "v"}, "id"),
        ({"id": "a/b", "value": "v"}, "id"),
        ({"id": "a\n", "value": "v"}, "line break"),
        ({"id": "a" * 129, "value": "v"}, "id"),
        ({"id": "a", "value": ""}, "value"),
        ({"id": "a", "value": "v" * 70_000}, "value"),
        ({"id": "a", "value": "ü" * 40_000}, "65536 bytes"),
        ({"id": "a", "value": "v", "expiresAt": "tomorrow"}, "expiresAt"),
        ({"id": "a", "value": "v", "expiresAt": "2030-01-01T00:00:00"}, "expiresAt"),
        ({"id": "a"}, "value"),
    ],
)
async def test_what_does_not_fit_is_named(
    client: httpx.AsyncClient, body: dict[str, Any], words: str
) -> None:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400, answer.text
    assert words in answer.text


async def test_a_scope_is_one_of_three(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH, params={"scope": "everything"})).status_code == 400


async def test_times_are_in_utc(client: httpx.AsyncClient, safe: Safe) -> None:
    ends = safe.clock.now() + timedelta(days=1)
    made = await client.post(
        PATH,
        json={"id": "a", "value": "value", "expiresAt": ends.isoformat().replace("+00:00", "+00:00")},
    )
    assert made.json()["expiresAt"] == rfc3339(ends)
