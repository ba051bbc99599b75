"""Several houses in one server: nothing of one is seen, used or changed from another."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.house import EXAMPLES, operations
from tests.acceptance.test_permission_matrix import ALL, BODIES, TABLE
from tests.services import PostgresCluster

from runstead.bootstrap import opened
from runstead.catalogue import sections
from runstead.platform.config import load
from runstead.testing.server import ServerProcess

PASSWORD = "violet-Kettle-27-harbour"
ROOT_TOKEN = "admin-token-of-the-house"
TENANCY = """
[tenants]
enabled = true
domain = "example.org"
[tenants.tiers]
free = "5/minute"
"""

Client = Callable[..., Any]


class Street:
    """A server with two tenants, each with an administrator."""

    def __init__(self, stack: AsyncExitStack, app: Any, folder: Path) -> None:
        self._stack = stack
        self._app = app
        self.folder = folder

    async def client(self, tenant: str = "", **headers: str) -> httpx.AsyncClient:
        named = {"X-Tenant": tenant} if tenant else {}
        transport = httpx.ASGITransport(self._app, client=("127.0.0.1", 1))
        return await self._stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers={**named, **headers})
        )

    async def house(self) -> httpx.AsyncClient:
        return await self.client(**{"X-Admin-Token": ROOT_TOKEN})

    async def tenant(self, name: str, **facts: str) -> httpx.AsyncClient:
        """Make one; the client of its first administrator."""
        made = await (await self.house()).post("/api/tenants", json={"name": name, **facts})
        assert made.status_code == 201, made.text
        link = made.json()["setup_url"].partition("=")[2]
        browser = await self.client(name)
        joined = await browser.post("/auth/setup", json={"link": link, "name": "boss", "password": PASSWORD})
        assert joined.status_code == 201, joined.text
        browser.headers["X-CSRF-Token"] = joined.cookies["runstead-csrf"]
        token = (await browser.post("/api/tokens", json={"name": "t"})).json()["token"]
        return await self.client(name, Authorization=f"Bearer {token}")


@pytest.fixture(params=["sqlite", "postgresql"])
async def street(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Street]:
    config = tmp_path / "runstead.toml"
    config.write_text(EXAMPLES + TENANCY)
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "RUNSTEAD_ADMIN_TOKEN": ROOT_TOKEN,
        "MASTER_PASSWORD": "master-password-of-the-house",
        "RUNSTEAD_RECORDS_AUTH_MODE": "token",
        "RUNSTEAD_RECORDS_INGEST_TOKEN": "token-of-the-records",
        "RUNSTEAD_OBSERVABILITY_LOG_LEVEL": "error",
    }
    async with AsyncExitStack() as stack:
        if request.param == "postgresql":
            cluster: PostgresCluster = request.getfixturevalue("postgres")
            env["RUNSTEAD_DATABASE_URL"] = stack.enter_context(cluster.database())
        settings = load(
            sections(),
            config=config,
            overrides={"storage.data_dir": str(tmp_path / "data")},
            env=env,
            cwd=tmp_path,
        )
        server = await stack.enter_async_context(opened(settings))
        yield Street(stack, server.app, tmp_path)


async def furnish(client: httpx.AsyncClient, word: str) -> dict[str, Any]:
    """Put something of each kind into a house."""
    app = f"function f() {{ return Response.json('{word}'); }} function init() {{ register('/{word}', 'f', 'GET'); }}"
    put = await client.put("/api/apps/mine", content=app.encode(), params={"privileged": "true"})
    assert put.status_code == 201, put.text
    job = await client.post("/api/scripts", json={"command": f"echo {word}"})
    assert job.status_code == 201, job.text
    secret = {"id": "key", "value": f"value-of-{word}"}
    assert (await client.post("/editor/api/secrets", json=secret)).status_code == 201
    assert (await client.post("/admin/projects", json={"slug": word})).status_code == 201
    assert (await client.post("/api/users", json={"name": f"person-of-{word}"})).status_code == 201
    return {"job": job.json()["id"]}


READS = (
    "/api/apps",
    "/api/scripts",
    "/editor/api/secrets",
    "/admin/projects",
    "/api/users",
    "/api/audit",
    "/api/log",
    "/api/groups",
)


NOTES = """
async function add(context) {
  await db.execute("insert into notes (text) values (?)", [context.request.query.text]);
  return null;
}
async function list() { return Response.json((await db.query("select text from notes")).map((row) => row.text)); }
async function init() {
  await db.migrate(["create table notes (id integer primary key, text text)"]);
  register("/notes/add", "add");
  register("/notes", "list");
}
"""


async def test_apps_of_one_name_have_a_database_for_each_tenant(street: Street) -> None:
    clients = {name: await street.tenant(name) for name in ("acme", "beta")} | {"": await street.house()}
    for name, client in clients.items():
        put = await client.put("/api/apps/notes", content=NOTES.encode(), params={"privileged": "true"})
        assert put.status_code == 201, put.text
        assert (await client.get("/notes/add", params={"text": f"of {name}"})).status_code == 204
    for name, client in clients.items():
        assert (await client.get("/notes")).json() == [f"of {name}"]
    root = clients[""]
    assert (await root.delete("/api/tenants/acme", params={"confirm": "acme"})).status_code == 204
    again = await street.tenant("acme")
    put = await again.put("/api/apps/notes", content=NOTES.encode(), params={"privileged": "true"})
    assert put.status_code == 201, put.text
    assert (await again.get("/notes")).json() == [], "nothing is left of who had the name before"
    assert (await clients["beta"].get("/notes")).json() == ["of beta"]


@pytest.mark.req("DATA-007")
@pytest.mark.timeout(180)
async def test_no_tenant_sees_anything_of_another_or_of_the_house(street: Street) -> None:
    clients = {
        "": await street.house(),
        "acme": await street.tenant("acme"),
        "beta": await street.tenant("beta"),
    }
    words = {"": "housewares", "acme": "anvils", "beta": "biscuits"}
    made = {name: await furnish(client, words[name]) for name, client in clients.items()}
    for name, client in clients.items():
        others = [word for other, word in words.items() if other != name]
        for path in (*READS, "/openapi.json", "/metrics"):
            answer = await client.get(path)
            assert answer.status_code == 200, f"{name}: {path} {answer.text}"
            assert not [word for word in others if word in answer.text], f"{name} sees others in {path}"
        for other, facts in made.items():
            if other != name:
                assert (await client.get(f"/api/scripts/{facts['job']}")).status_code == 404
                assert (await client.delete(f"/api/scripts/{facts['job']}")).status_code == 404
                assert (await client.get(f"/{words[other]}")).status_code == 404
        assert (await client.get(f"/{words[name]}")).json() == words[name]


@pytest.mark.timeout(180)
async def test_the_credentials_of_one_house_open_no_other(street: Street) -> None:
    """Every operation of a tenant, with every credential of another house."""
    acme, beta = await street.tenant("acme"), await street.tenant("beta")
    paths: Mapping[str, Any] = (await beta.get("/openapi.json")).json()["paths"]
    foreign = [
        await street.client("beta", Authorization=acme.headers["Authorization"]),
        await street.client("beta", **{"X-Admin-Token": ROOT_TOKEN}),
        await street.client("beta", **{"X-Master-Password": "master-password-of-the-house"}),
        await street.client("beta", Authorization="Bearer token-of-the-records"),
    ]
    signed_in = await street.client("acme")
    answer = await signed_in.post("/auth/login", json={"name": "boss", "password": PASSWORD})
    cookie = f"runstead={answer.cookies['runstead']}"
    foreign.append(await street.client("beta", Cookie=cookie))
    tried = 0
    for operation in sorted(operations(paths)):
        if TABLE[operation] == ALL or operation == "POST /api/log":
            continue
        method, path = operation.split(" ")
        url = path.replace("{number}", "1").replace("{", "").replace("}", "")
        for client in foreign:
            refused = await client.request(method, url, **BODIES.get(operation, {}))
            # Guesses are counted: at some point it is a lock that refuses.
            assert refused.status_code in (401, 429), f"{operation}: {refused.status_code}"
            tried += 1
    assert tried > 300
    house = await street.client(Authorization=acme.headers["Authorization"])
    assert (await house.get("/api/users")).status_code in (401, 429)


async def test_a_tenant_is_named_by_host_or_header_and_by_one_of_them(street: Street) -> None:
    await street.tenant("acme")
    await street.tenant("beta")
    plain = await street.client()
    by_host = await plain.get("/auth/me", headers={"Host": "acme.example.org"})
    assert by_host.status_code == 200
    for headers, status, code in (
        ({"Host": "nobody.example.org"}, 404, "E_TENANT"),
        ({"X-Tenant": "nobody"}, 404, "E_TENANT"),
        ({"X-Tenant": "../acme"}, 404, "E_TENANT"),
        ({"X-Tenant": ""}, 404, "E_TENANT"),
        ({"Host": "acme.example.org", "X-Tenant": "beta"}, 400, "E_TENANT"),
        ({"Host": "a.acme.example.org"}, 404, "E_TENANT"),
        ({"Host": "beta.example.org", "X-Tenant": "beta"}, 200, ""),
        ({"Host": "acme.example.org.evil.example"}, 421, "E_HOST"),
    ):
        answer = await plain.get("/auth/me", headers=headers)
        assert answer.status_code == status, (headers, answer.text)
        if code:
            assert answer.json()["error"]["code"] == code, headers
            assert answer.headers["x-request-id"]
    # The host of one tenant is not answered by another.
    crossed = await plain.get("/auth/me", headers={"Host": "beta.example.org", "X-Tenant": "acme"})
    assert crossed.status_code == 400


@pytest.mark.req("SEC-016")
async def test_a_plan_limits_a_tenant_as_a_whole(street: Street) -> None:
    house = await street.house()
    await street.tenant("acme")
    changed = await house.patch("/api/tenants/acme", json={"tier": "free"})
    assert changed.json()["tier"] == "free"
    client = await street.client("acme")
    answers = [await client.get("/auth/me") for _ in range(7)]
    assert [one.status_code for one in answers] == [200] * 5 + [429] * 2
    assert answers[0].headers["x-ratelimit-tenant-limit"] == "5"
    assert answers[-1].headers["x-ratelimit-tenant-remaining"] == "0"
    assert answers[-1].json()["error"]["details"]["limit"] == "plan"
    usage = (await house.get("/api/tenants/acme/usage")).json()["usage"]
    assert [(one["rule"], one["allowed"], one["refused"]) for one in usage] == [("plan", 5, 2)]
    assert (await (await street.client()).get("/auth/me")).status_code == 200, "the house has no plan"
    assert (await house.patch("/api/tenants/acme", json={"tier": "gold"})).status_code == 400


async def test_a_tenant_is_switched_off_and_on_again(street: Street) -> None:
    house, boss = await street.house(), await street.tenant("acme")
    await furnish(boss, "anvils")
    assert (await house.patch("/api/tenants/acme", json={"status": "disabled"})).json()[
        "status"
    ] == "disabled"
    refused = await boss.get("/api/users")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "E_TENANT_DISABLED")
    assert (await house.patch("/api/tenants/acme", json={"status": "active"})).status_code == 200
    assert "anvils" in (await boss.get("/admin/projects")).text


async def test_a_tenant_is_copied_out_and_removed_with_everything(street: Street) -> None:
    house, boss = await street.house(), await street.tenant("acme")
    await furnish(boss, "anvils")
    answer = await house.get("/api/tenants/acme/export")
    assert answer.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        names = archive.getnames()
        users = archive.extractfile("tables/identity_users.ndjson")
        assert users is not None
        people = [json.loads(line)["name"] for line in users]
        everything = b"".join(
            file.read() for one in archive.getmembers() if (file := archive.extractfile(one)) is not None
        )
    assert sorted(people) == ["boss", "person-of-anvils"]
    assert "tables/jobs_jobs.ndjson" in names or "tables/jobs.ndjson" in names
    assert b"value-of-anvils" not in everything, "sealed values stay sealed"

    assert (await house.delete("/api/tenants/acme")).status_code == 409
    assert (await house.delete("/api/tenants/acme", params={"confirm": "beta"})).status_code == 409
    assert (await house.delete("/api/tenants/acme", params={"confirm": "acme"})).status_code == 204
    assert (await boss.get("/api/users")).json()["error"]["code"] == "E_TENANT"
    assert not (street.folder / "data-tenants" / "acme").exists()
    # The next one of that name begins with nothing.
    again = await street.tenant("acme")
    assert [one["name"] for one in (await again.get("/api/users")).json()["users"]] == ["boss"]
    acts = [
        one["action"]
        for one in (await house.get("/api/audit", params={"action": "tenant."})).json()["entries"]
    ]
    assert acts == ["tenant.create", "tenant.delete", "tenant.export", "tenant.create"]


async def test_names_are_checked(street: Street) -> None:
    house = await street.house()
    for name in ("", "A", "-a", "a-", "a_b", "www", "a" * 33, "a.b", "../x", "ab\n"):
        refused = await house.post("/api/tenants", json={"name": name})
        assert refused.status_code in (400, 409), name
    assert (await house.post("/api/tenants", json={"name": "acme"})).status_code == 201
    assert (await house.post("/api/tenants", json={"name": "acme"})).status_code == 409


@pytest.mark.timeout(120)
def test_tenants_are_there_again_after_a_fall(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server(EXAMPLES + TENANCY)
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
        assert client.post("/api/tenants", json={"name": "acme"}).status_code == 201
        assert client.get("/auth/me", headers={"X-Tenant": "acme"}).status_code == 200
    server.kill()
    server.start()
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
        assert [one["name"] for one in client.get("/api/tenants").json()["tenants"]] == ["acme"]
        assert client.get("/auth/me", headers={"X-Tenant": "acme"}).status_code == 200
