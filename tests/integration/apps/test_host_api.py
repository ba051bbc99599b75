# ruff: noqa: E501 - scripts
"""What scripts ask the server for: who asks, storage, secrets, fetch. Through HTTP, with real workers and a real other server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.integration.apps.conftest import Host, Lines
from tests.integration.egress.test_egress import Others, others
from tests.integration.identity.world import Trail, World, world_on

from runstead.capabilities import apps
from runstead.capabilities.apps import AppsSettings
from runstead.kernel.secret import Secret
from runstead.platform import secrets
from runstead.platform.execution.script import ScriptPool
from runstead.platform.observability import Redactor
from runstead.platform.secrets import SecretsSettings, Vault, open_master_keys
from runstead.platform.storage.sql import Database
from runstead.testing.clock import FakeClock

__all__ = ["others"]

CANARY = "canary-of-the-scripts-4711"


@pytest.fixture
async def pool() -> AsyncIterator[ScriptPool]:
    async with ScriptPool(workers=2) as one:
        yield one


class Town:
    """Apps, people and a vault."""

    def __init__(self, world: World, vault: Vault, host: Host, trail: Trail) -> None:
        self.world = world
        self.vault = vault
        self.host = host
        self.trail = trail


@pytest.fixture
async def town(
    database: Database, database_url: str, tmp_path: Path, pool: ScriptPool
) -> AsyncIterator[Town]:
    sink, trail, redactor = Lines(), Trail(), Redactor()
    async with AsyncExitStack() as stack:
        folders = {"apps": apps.MIGRATIONS, "secrets": secrets.MIGRATIONS}
        settings = msgspec.structs.replace(
            AppsSettings(), fetch=apps.FetchSettings(allow_addresses=("127.0.0.0/8",), timeout_ms=3000)
        )
        keys_folder = tmp_path / "keys"
        # The tables must be there before the keys are.
        world = await stack.enter_async_context(world_on(database, migrations=folders))
        keys = await open_master_keys(database, data_dir=keys_folder)
        vault = Vault(
            database,
            keyring=keys.keyring,
            settings=SecretsSettings(),
            trail=trail,
            masker=redactor,
            clock=FakeClock(),
        )
        capability = apps.capability(
            settings=settings,
            db=database,
            pool=pool,
            profile="dev",
            logs=sink,
            secrets=vault,
            masker=redactor,
            data_dir=tmp_path / "data",
            database_url=database_url,
        )
        world.capabilities = (capability,)
        assert capability.lifespan is not None
        await stack.enter_async_context(capability.lifespan())
        client = await world.browser()
        yield Town(world, vault, Host(client, pool, sink), trail)


async def json(client: httpx.AsyncClient, path: str, **options: Any) -> Any:
    answer = await client.get(path, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.req("AUTH-004")
async def test_scripts_know_who_asks_and_may_refuse(town: Town) -> None:
    await town.host.serve(
        """
        const me = () => Response.json({ ...auth.currentUser(), in: auth.isAuthenticated, admin: auth.isAdmin, editor: auth.isEditor,
          id: auth.userId, role: auth.role, mail: auth.userEmail });
        const members = () => { auth.requireAuth(); return Response.json({ hello: auth.userName }); };
        const editors = () => { auth.requireEditor(); return "in"; };
        const admins = () => { auth.requireAdmin(); return "in"; };
        const change = () => { try { auth.isAdmin = true; auth.groups.push("x"); } catch {} return Response.json({ admin: auth.isAdmin }); };
        const manage = () => Response.json({ own: auth.canManageScript("app"), none: auth.canManageScript("nothing") });
        """,
        "GET /me me",
        "GET /members members",
        "GET /editors editors",
        "GET /admins admins",
        "GET /change change",
        "GET /manage manage",
    )
    stranger = await town.world.browser()
    ada_id, ada = await town.world.person("ada", "viewer")
    _, dev = await town.world.person("dev", "developer")
    _, root = await town.world.person("root", "administrator")
    nobody = await json(stranger, "/me")
    assert (nobody["in"], nobody["id"], nobody["admin"]) == (False, None, False)
    hers = await json(ada, "/me")
    assert (
        hers.items()
        >= {
            "in": True,
            "id": ada_id,
            "name": "ada",
            "role": "viewer",
            "editor": False,
            "provider": "password",
        }.items()
    )
    statuses = {
        path: [(await one.get(path)).status_code for one in (stranger, ada, dev, root)]
        for path in ("/members", "/editors", "/admins")
    }
    assert statuses == {
        "/members": [401, 200, 200, 200],
        "/editors": [401, 403, 200, 200],
        "/admins": [401, 403, 403, 200],
    }
    assert (await json(ada, "/change")) == {"admin": False}
    assert (await json(ada, "/manage")) == {"own": False, "none": False}
    assert (await json(root, "/manage")) == {"own": True, "none": False}


STORAGE = """
const act = ({ query }) => {
  const area = query.area === "shared" ? sharedStorage : personalStorage;
  if (query.do === "set") area.setItem(query.key, query.value);
  if (query.do === "remove") area.removeItem(query.key);
  if (query.do === "clear") area.clear();
  return Response.json({ value: area.getItem(query.key ?? "x") });
};
"""


async def test_storage_is_of_the_app_or_of_one_user_and_stays(town: Town) -> None:
    await town.host.serve(STORAGE, "GET /act act")
    await town.host.serve(STORAGE.replace("act =", "other ="), "GET /other other", app_id="other")
    _, ada = await town.world.person("ada")
    _, bob = await town.world.person("bob")

    async def act(client: httpx.AsyncClient, path: str = "/act", **query: str) -> Any:
        return (await json(client, path, params=query))["value"]

    assert await act(ada, area="shared", do="set", key="x", value="of all ✓") == "of all ✓"
    assert await act(bob, area="shared") == "of all ✓"
    assert await act(bob, "/other", area="shared") is None, "another app sees nothing of it"
    assert await act(ada, area="personal", do="set", key="x", value="of ada") == "of ada"
    assert await act(bob, area="personal") is None
    assert await act(ada, area="personal") == "of ada"
    assert await act(ada, area="personal", do="remove", key="x") is None
    assert await act(ada, area="shared") == "of all ✓"
    assert await act(ada, area="shared", do="clear") is None
    stranger = await town.world.browser()
    refused = await stranger.get("/act", params={"area": "personal"})
    assert refused.status_code == 500
    assert "nobody is signed in" in refused.text
    for query in ({"key": ""}, {"key": "k" * 600}, {"key": "x", "value": "v" * 300_000}):
        params = {"area": "shared", "do": "set", "value": "v", **query}
        answer = await ada.request("GET", "/act", params=params) if len(str(params)) < 60_000 else None
        assert answer is None or answer.status_code == 500, query


async def test_an_app_keeps_no_more_than_it_may(database: Database, pool: ScriptPool) -> None:
    settings = msgspec.structs.replace(AppsSettings(), storage_bytes=2048)
    async with world_on(database, migrations={"apps": apps.MIGRATIONS}) as world:
        capability = apps.capability(settings=settings, db=database, pool=pool, profile="dev")
        world.capabilities = (capability,)
        assert capability.lifespan is not None
        async with capability.lifespan():
            host = Host(await world.browser(), pool, Lines())
            source = "const fill = ({ query }) => { sharedStorage.setItem(query.key, 'x'.repeat(1000)); return 'kept'; };"
            await host.serve(source, "GET /fill fill")
            answers = [await host.client.get("/fill", params={"key": key}) for key in "aabc"]
            assert [one.status_code for one in answers] == [200, 200, 200, 500]
            assert "apps.storage_bytes" in answers[-1].text
            # A removed app leaves room, and nothing for the next one of its name.
            assert (await host.api("DELETE", "/app")).status_code == 204
            await host.serve("const look = () => String(sharedStorage.getItem('a'));", "GET /look look")
            assert (await host.client.get("/look")).text == "null"


async def test_many_writes_at_once_lose_nothing(town: Town) -> None:
    await town.host.serve(
        "const put = ({ query }) => { sharedStorage.setItem(query.key, query.key); return 'kept'; };"
        "const get = ({ query }) => sharedStorage.getItem(query.key);",
        "GET /put put",
        "GET /get get",
    )
    client = town.host.client
    await asyncio.gather(*(client.get("/put", params={"key": str(number)}) for number in range(40)))
    found = await asyncio.gather(*(client.get("/get", params={"key": str(number)}) for number in range(40)))
    assert [one.text for one in found] == [str(number) for number in range(40)]


@pytest.mark.req("SEC-005")
async def test_scripts_learn_of_secrets_but_never_their_values(town: Town) -> None:
    await town.vault.create("stripe", Secret(CANARY))
    await town.vault.create("own", Secret("value-of-the-app"), scope="app:app")
    await town.vault.create("foreign", Secret("value-of-another"), scope="app:other")
    await town.host.serve(
        """
        const look = () => Response.json({ list: secretStorage.list(), stripe: secretStorage.exists("stripe"),
          foreign: secretStorage.exists("foreign"), none: secretStorage.exists("none"), keys: Object.keys(secretStorage) });
        const keep = ({ query }) => { secretStorage.setSecret(query.id, query.value); return Response.json(secretStorage.list()); };
        const drop = () => Response.json([secretStorage.removeSecret("mine"), secretStorage.removeSecret("mine"), secretStorage.clear()]);
        """,
        "GET /look look",
        "GET /keep keep",
        "GET /drop drop",
    )
    _, ada = await town.world.person("ada")
    _, bob = await town.world.person("bob")
    seen = await json(ada, "/look")
    assert seen["list"] == ["own", "stripe"]
    assert (seen["stripe"], seen["foreign"], seen["none"]) == (True, False, False)
    assert seen["keys"] == ["exists", "list", "setSecret", "removeSecret", "clear"]
    assert await json(ada, "/keep", params={"id": "mine", "value": "hers-alone"}) == ["mine", "own", "stripe"]
    assert (await json(bob, "/look"))["list"] == ["own", "stripe"]
    assert await json(ada, "/drop") == [True, False, 0]
    assert (
        await (await town.world.browser()).get("/keep", params={"id": "x", "value": "y"})
    ).status_code == 500


FETCH = """
const get = async ({ query }) => {
  const answer = await fetch(query.url, JSON.parse(query.options ?? "{}"));
  return Response.json({ status: answer.status, ok: answer.ok, text: await answer.text(), url: answer.url,
    headers: [...answer.headers] });
};
const sync = ({ query }) => engine.fetchSync(query.url, query.options);
const several = async ({ query }) => {
  const answers = await Promise.all([1, 2, 3].map((each) => fetch(`${query.url}/${each}`)));
  return Response.json(answers.map((one) => one.status));
};
"""
FETCH_ROUTES = ("GET /get get", "GET /sync sync", "GET /several several")


async def test_fetch_asks_others(town: Town, others: Others) -> None:
    await town.host.serve(FETCH, *FETCH_ROUTES)
    client = town.host.client
    answer = await json(client, "/get", params={"url": f"{others.url}/x"})
    assert answer.items() >= {"status": 200, "ok": True, "text": "hello", "url": f"{others.url}/x"}.items()
    options = '{"method": "POST", "headers": {"X-One": "1"}, "body": {"a": 1}}'
    await json(client, "/get", params={"url": f"{others.url}/post", "options": options})
    method, _, headers, body = others.asked[-1]
    assert (method, headers["x-one"], headers["content-type"], body) == (
        "POST",
        "1",
        "application/json",
        b'{"a":1}',
    )
    assert (await json(client, "/sync", params={"url": f"{others.url}/x"})).items() >= {
        "status": 200,
        "ok": True,
        "body": "hello",
    }.items()
    assert await json(client, "/several", params={"url": others.url}) == [200, 200, 200]


@pytest.mark.req("SEC-005")
async def test_a_secret_is_put_in_on_the_way_and_masked_on_the_way_back(town: Town, others: Others) -> None:
    await town.vault.create("stripe", Secret(CANARY))
    await town.host.serve(FETCH, *FETCH_ROUTES)
    client = town.host.client
    for options in (
        '{"headers": {"Authorization": "Bearer {{secret:stripe}}"}}',
        '{"secrets": {"X-Api-Key": "stripe"}}',
    ):
        answer = await client.get("/get", params={"url": f"{others.url}/x", "options": options})
        assert answer.status_code == 200, answer.text
        assert CANARY not in answer.text
        sent = others.asked[-1][2]
        assert CANARY in (sent.get("authorization", "") + sent.get("x-api-key", ""))
    # An answer that echoes it, in a header, in the body, in the address.
    others.respond = _echo  # type: ignore[method-assign]
    options = '{"headers": {"X-Secret": "{{secret:stripe}}"}}'
    echoed = await client.get("/get", params={"url": f"{others.url}/echo", "options": options})
    assert CANARY not in echoed.text
    assert "***" in echoed.json()["text"]
    assert ["x-echo", "***"] in echoed.json()["headers"]
    assert (await town.vault.get("stripe")).uses == 3
    read = [one for one in town.trail.entries if one["action"] == "secret.read"]
    assert sum(one["details"]["count"] for one in read) == 3
    assert CANARY not in str(town.host.sink.emitted)


def _echo(to: Any) -> None:
    value = to.headers["X-Secret"]
    to.send_response(200)
    to.send_header("X-Echo", value)
    body = f"you sent {value}".encode()
    to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    to.wfile.write(body)


async def test_a_secret_that_is_not_there_stops_the_request_and_tells_nothing(
    town: Town, others: Others
) -> None:
    await town.vault.create("foreign", Secret("value-of-another"), scope="app:other")
    await town.host.serve(FETCH, *FETCH_ROUTES)
    texts = set()
    for name in ("nothing", "foreign"):
        options = f'{{"headers": {{"X": "{{{{secret:{name}}}}}"}}}}'
        refused = await town.host.client.get("/get", params={"url": others.url, "options": options})
        assert refused.status_code == 500
        texts.add(refused.json()["error"]["message"])
    assert len(texts) == 1, "the same, whether it exists elsewhere or not"
    assert others.asked == []


@pytest.mark.req("SEC-004")
@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://[::1]/",
        "file:///etc/passwd",
        "http://localhost:1/x",
    ],
)
async def test_fetch_does_not_reach_inside(town: Town, url: str) -> None:
    await town.host.serve(FETCH, *FETCH_ROUTES)
    refused = await town.host.client.get("/get", params={"url": url})
    assert refused.status_code == 500
    told = await json(town.host.client, "/sync", params={"url": url})
    assert "error" in told


async def test_waiting_is_not_running_and_spinning_is_stopped(town: Town, others: Others) -> None:
    """A script may wait longer than it may run; one that spins is ended even if it could wait."""
    await town.host.serve(
        "const waits = async ({ query }) => { await fetch(query.url); await fetch(query.url); return 'waited'; };"
        "const spins = () => { /* fetch */ for (;;); };",
        "GET /waits waits",
        "GET /spins spins",
    )
    began = time.monotonic()
    answer = await town.host.client.get("/waits", params={"url": f"{others.url}/slow"})
    assert answer.text == "waited"
    assert time.monotonic() - began > 2, "two seconds of waiting, twice the time that a script may run"
    began = time.monotonic()
    assert (await town.host.client.get("/spins")).status_code == 504
    assert time.monotonic() - began < 10
    assert (await town.host.client.get("/waits", params={"url": f"{others.url}/x"})).text == "waited"


async def test_calls_are_counted_and_checked(town: Town) -> None:
    await town.host.serve(
        "const many = () => { for (;;) sharedStorage.getItem('x'); };"
        "const odd = () => { const said = []; for (const act of [() => sharedStorage.setItem('a', '\\u0000\\ud800'), () => fetch(), "
        "() => engine.fetchSync({}, { headers: 5, timeout: 'x' })]) { try { said.push(String(act())); } catch (error) "
        "{ said.push(error.message); } } return Response.json(said); };",
        "GET /many many",
        "GET /odd odd",
    )
    answer = await town.host.client.get("/many")
    # Whichever limit is reached first: of calls, of the script, or, where the database is slow, of the request.
    assert answer.status_code in (408, 500, 504)
    assert (await town.host.client.get("/odd")).status_code in (200, 500)
    assert (await town.host.client.get("/many")).status_code in (408, 500, 504), "and the worker lives on"
