# ruff: noqa: E501 - a table
"""Who may call what: every operation of the whole server, tried by everybody who can exist.

A route that is not in the table fails the test, and so does a row without its route. Whoever is let through may still get any
answer but 401 and 403: what is asked here is the door, not what lies behind it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from tests.acceptance.conftest import EXAMPLES

from runstead.bootstrap import opened, sections
from runstead.platform.config import load

PASSWORD: Final = "violet-Kettle-27-harbour"
MASTER_PASSWORD: Final = "master-password-of-the-matrix"

#: Everybody. `stranger` and `owner` are both developers; `owner` owns the app and the job that are asked about. `granted` has no role,
#: but owns the app by a grant; `member` has none either, but is in a group that is in the group of viewers.
#: `narrow` is the token of an administrator whose scope is reading jobs. `root` holds the machine's admin token.
NOBODY, OPERATOR, ROOT = "nobody", "operator", "root"
PEOPLE = frozenset({"viewer", "member", "tester", "designer", "stranger", "owner", "granted", "admin"})
EVERYBODY = PEOPLE | {NOBODY, OPERATOR, ROOT, "narrow"}

ALL = EVERYBODY
ADMINS = frozenset({"admin", ROOT})
READERS = (PEOPLE - {"granted"}) | {OPERATOR, ROOT}
TESTERS = frozenset({"tester", "designer", "stranger", "owner", "admin", OPERATOR, ROOT})
DEVELOPERS = frozenset({"stranger", "owner", "admin", ROOT})
APP_OWNERS = frozenset({"owner", "granted", "admin", ROOT})
JOB_OWNERS = frozenset({"owner", "admin", OPERATOR, ROOT})
SECRET_OWNERS = frozenset({"owner", "admin", ROOT})

#: Operation → who may.
TABLE: Final[Mapping[str, frozenset[str]]] = {
    "GET /healthz": ALL, "GET /health": ALL, "GET /ready": ALL, "GET /metrics": ALL, "GET /openapi.json": ALL, "GET /config": ALL,
    "GET /hello/{name}": ALL,
    # Log events are signed by projects, which are no actors.
    "POST /api/log": frozenset(),
    "GET /api/log": READERS,
    "POST /wordcount": TESTERS,
    # Signing in.
    "POST /auth/login": ALL, "POST /auth/logout": ALL, "GET /auth/me": ALL, "POST /auth/setup": ALL, "POST /auth/join": ALL, "POST /auth/reset": ALL,
    "POST /auth/passkey/options": ALL, "POST /auth/passkey": ALL,
    "GET /auth/factors": PEOPLE, "DELETE /auth/factors/{factor_id}": PEOPLE, "POST /auth/factors/totp": PEOPLE, "PUT /auth/factors/totp": PEOPLE,
    "POST /auth/factors/passkey": PEOPLE, "PUT /auth/factors/passkey": PEOPLE, "POST /auth/factors/recovery-codes": PEOPLE,
    "GET /auth/devices": PEOPLE, "DELETE /auth/devices/{device_id}": PEOPLE,
    "DELETE /api/users/{user_id}/factors": ADMINS,
    "POST /auth/prove": PEOPLE, "POST /auth/password": PEOPLE,
    "GET /auth/sessions": PEOPLE, "DELETE /auth/sessions": PEOPLE, "DELETE /auth/sessions/{session_id}": PEOPLE,
    "GET /api/tokens": PEOPLE, "POST /api/tokens": PEOPLE, "DELETE /api/tokens/{token_id}": PEOPLE,
    # People.
    "GET /api/users": ADMINS, "POST /api/users": ADMINS, "GET /api/users/{user_id}": ADMINS, "PATCH /api/users/{user_id}": ADMINS,
    "DELETE /api/users/{user_id}": ADMINS, "POST /api/users/{user_id}/reset": ADMINS, "DELETE /api/users/{user_id}/sessions": ADMINS,
    "GET /api/groups": ADMINS, "POST /api/groups": ADMINS, "GET /api/groups/{group_id}": ADMINS, "PATCH /api/groups/{group_id}": ADMINS,
    "DELETE /api/groups/{group_id}": ADMINS, "PUT /api/groups/{group_id}/members/{member}": ADMINS, "DELETE /api/groups/{group_id}/members/{member}": ADMINS,
    "GET /api/grants": ADMINS, "POST /api/grants": ADMINS, "DELETE /api/grants/{grant_id}": ADMINS,
    "GET /api/links": ADMINS, "POST /api/links": ADMINS, "DELETE /api/links/{link_id}": ADMINS, "GET /api/roles": ADMINS,
    "GET /api/audit": ADMINS, "GET /api/audit/export": ADMINS, "GET /api/audit/verify": ADMINS,
    "GET /editor/api/secrets": DEVELOPERS, "POST /editor/api/secrets": DEVELOPERS, "GET /editor/api/secrets/{secret_id}": DEVELOPERS,
    "GET /editor/api/secrets/{secret_id}/usage": DEVELOPERS, "PUT /editor/api/secrets/{secret_id}": SECRET_OWNERS, "POST /editor/api/secrets/{secret_id}/restore": SECRET_OWNERS,
    "DELETE /editor/api/secrets/{secret_id}": SECRET_OWNERS, "POST /editor/api/secrets/rotate-master-key": ADMINS,
    "GET /api/limits": ADMINS, "GET /api/limits/usage": ADMINS, "POST /api/limits/addresses": ADMINS, "DELETE /api/limits/addresses/{entry_id}": ADMINS,
    # Apps.
    "GET /api/apps": READERS | {"granted"},
    "GET /api/apps/{app_id}": READERS | {"granted"},
    "GET /api/apps/{app_id}/versions": READERS | {"granted"},
    "GET /api/apps/{app_id}/versions/{number}": READERS | {"granted"},
    "GET /api/apps/{app_id}/routes": READERS | {"granted"},
    "PUT /api/apps/{app_id}": APP_OWNERS, "DELETE /api/apps/{app_id}": APP_OWNERS, "POST /api/apps/{app_id}/check": APP_OWNERS,
    "PUT /api/apps/{app_id}/privileged": ADMINS,
    # Endpoints.
    "GET /api/endpoints": READERS, "GET /api/endpoints/schema": READERS, "GET /api/endpoints/{name}/runs": READERS,
    "GET /api/endpoints/{name}/runs/{run_id}": READERS, "GET /api/endpoints/{name}/runs/{run_id}/artifacts": READERS,
    "GET /api/endpoints/{name}/runs/{run_id}/artifacts/{artifact}": READERS,
    "GET /api/endpoints/{name}/runs/{run_id}/stderr": READERS, "GET /api/endpoints/{name}/runs/{run_id}/stdout": READERS,
    "POST /api/endpoints/{name}/try": TESTERS,
    # Jobs.
    "GET /api/scripts": READERS | {"narrow"}, "POST /api/scripts": DEVELOPERS | {OPERATOR},
    "GET /api/scripts/{job_id}": READERS | {"narrow"}, "GET /api/scripts/{job_id}/logs": READERS | {"narrow"},
    "POST /api/scripts/{job_id}/kill": JOB_OWNERS, "POST /api/scripts/{job_id}/restart": JOB_OWNERS, "DELETE /api/scripts/{job_id}": JOB_OWNERS,
    # Logs.
    **dict.fromkeys(("GET /admin/maintain", "POST /admin/maintain", "GET /admin/projects", "POST /admin/projects", "GET /admin/projects/{slug}", "DELETE /admin/projects/{slug}", "PATCH /admin/projects/{slug}", "POST /admin/projects/{slug}/rotate", "POST /admin/purge"), ADMINS),
    # Records.
    "POST /admin/records/reindex": ADMINS | {OPERATOR},
    "POST /v1/artifacts": DEVELOPERS | {OPERATOR},
    "GET /v1/artifacts/{organization}/{project}/{service}": READERS,
    "GET /v1/artifacts/{organization}/{project}/{service}/latest": READERS,
    "GET /v1/artifacts/{organization}/{project}/{service}/runs/{run_id}": READERS,
}  # fmt: skip

#: Bodies without which an operation is refused before it is known what it is about.
BODIES: Final[Mapping[str, dict[str, Any]]] = {
    "PUT /api/apps/{app_id}": {"content": b"function init() {}"},
    "POST /api/apps/{app_id}/check": {"content": b"function init() {}"},
    "PUT /editor/api/secrets/{secret_id}": {"json": {}},
    "POST /editor/api/secrets/{secret_id}/restore": {"json": {"version": 1}},
}


@dataclass
class House:
    """The whole server with everybody in it."""

    clients: Mapping[str, httpx.AsyncClient]
    paths: Mapping[str, Any]
    #: Path parameter → what is asked about.
    values: Mapping[str, str]


async def people(
    root: httpx.AsyncClient,
    client: Callable[..., Awaitable[httpx.AsyncClient]],
    clients: dict[str, httpx.AsyncClient],
) -> dict[str, str]:
    """Make everybody, each with a token; their ids."""
    roles = {
        "stranger": ["developer"],
        "owner": ["developer"],
        "granted": [],
        "member": [],
        "admin": ["administrator"],
    }
    ids = {}
    for name in sorted(PEOPLE):
        user = (await root.post("/api/users", json={"name": name, "roles": roles.get(name, [name])})).json()
        link = (await root.post(f"/api/users/{user['id']}/reset")).json()["url"].partition("=")[2]
        browser = await client()
        assert (
            await browser.post("/auth/reset", json={"link": link, "password": PASSWORD})
        ).status_code == 204
        answer = await browser.post("/auth/login", json={"name": name, "password": PASSWORD})
        browser.headers["X-CSRF-Token"] = answer.cookies["runstead-csrf"]
        token = (await browser.post("/api/tokens", json={"name": "matrix"})).json()["token"]
        clients[name], ids[name] = await client(Authorization=f"Bearer {token}"), user["id"]
        if name == "admin":
            narrow = await browser.post("/api/tokens", json={"name": "narrow", "scopes": ["jobs.read"]})
            clients["narrow"] = await client(Authorization=f"Bearer {narrow.json()['token']}")
    return ids


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    config = folder / "runstead.toml"
    config.write_text(EXAMPLES + "\n[identity]\nlockout_attempts = 1000000\n")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "RUNSTEAD_ADMIN_TOKEN": "admin-token-of-the-matrix",
        "MASTER_PASSWORD": MASTER_PASSWORD,
        "RUNSTEAD_RECORDS_AUTH_MODE": "token",
        "RUNSTEAD_RECORDS_INGEST_TOKEN": "token-of-the-records",
        "RUNSTEAD_OBSERVABILITY_LOG_LEVEL": "error",
    }
    settings = load(
        sections(), config=config, overrides={"storage.data_dir": str(folder / "data")}, env=env, cwd=folder
    )
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(opened(settings))

        async def client(**headers: str) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(server.app, client=("127.0.0.1", 1))
            return await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)
            )

        root = await client(**{"X-Admin-Token": "admin-token-of-the-matrix"})
        clients = {
            NOBODY: await client(),
            OPERATOR: await client(**{"X-Master-Password": MASTER_PASSWORD}),
            ROOT: root,
        }
        ids = await people(root, client, clients)
        outer = (await root.post("/api/groups", json={"name": "readers", "roles": ["viewer"]})).json()["id"]
        inner = (await root.post("/api/groups", json={"name": "interns"})).json()["id"]
        await root.put(f"/api/groups/{outer}/members/group:{inner}")
        await root.put(f"/api/groups/{inner}/members/user:{ids['member']}")
        await root.post(
            "/api/grants",
            json={"subject": f"user:{ids['granted']}", "permission": "owner", "resource": "app:mine"},
        )
        owner = clients["owner"]
        assert (await owner.put("/api/apps/mine", content=b"function init() {}")).status_code == 201
        job = (await owner.post("/api/scripts", json={"command": "true"})).json()
        secret = {"id": "of-owner", "value": "value-of-owner"}
        assert (await owner.post("/editor/api/secrets", json=secret)).status_code == 201
        values = {
            "app_id": "mine",
            "job_id": job["id"],
            "name": "wordcount",
            "number": "1",
            "secret_id": "of-owner",
        }
        yield House(clients, (await root.get("/openapi.json")).json()["paths"], values)


def operations(paths: Mapping[str, Any]) -> set[str]:
    methods = ("get", "put", "post", "delete", "patch")
    return {
        f"{method.upper()} {path}" for path, item in paths.items() for method in methods if method in item
    }


def filled(path: str, values: Mapping[str, str]) -> str:
    for part in path.split("/"):
        if part.startswith("{"):
            path = path.replace(part, values.get(part[1:-1], "0192f0c1-7b1a-7000-8000-000000000000"))
    return path


async def test_everybody_gets_through_their_doors_and_through_no_other(tmp_path: Path) -> None:
    async with house(tmp_path) as world:
        described = operations(world.paths)
        assert described - set(TABLE) == set(), "not in the table: say who may call them"
        assert set(TABLE) - described == set(), "in the table, and nowhere else"

        wrong = []
        # What removes comes last, and those who may come after those who may not, the owner first of them: they succeed.
        for operation in sorted(TABLE, key=lambda one: (one.startswith("DELETE"), one)):
            method, path = operation.split(" ")
            may = TABLE[operation]
            for name in sorted(EVERYBODY, key=lambda one: (one in may, one != "owner", one)):
                url = filled(path, world.values)
                answer = await world.clients[name].request(method, url, **BODIES.get(operation, {}))
                passed = answer.status_code not in (401, 403) or answer.json()["error"]["code"] == "E_LINK"
                if passed != (name in may):
                    wrong.append(f"{operation}: {name} got {answer.status_code} {answer.text[:120]}")
                if not passed and may and (answer.status_code == 401) != (name == NOBODY):
                    wrong.append(f"{operation}: {name} was refused by {answer.status_code}")
        assert not wrong, "\n".join(wrong)


async def test_the_description_says_the_same_as_the_table(tmp_path: Path) -> None:
    """Whether a credential is needed, and whether the machines' are enough."""
    async with house(tmp_path) as world:
        wrong = []
        for operation in sorted(TABLE):
            method, path = operation.split(" ")
            described = world.paths[path][method.lower()]
            security = described.get("security") or [{}]
            schemes = {scheme for one in security for scheme in one}
            open_to_all = TABLE[operation] == ALL
            if open_to_all != (schemes == set()) and operation != "POST /api/log":
                wrong.append(f"{operation}: described by {security}")
            if ("adminToken" in schemes or "bearer" in schemes) and not TABLE[operation] & {ROOT, *PEOPLE}:
                wrong.append(f"{operation}: nobody may, but {security}")
        assert not wrong, "\n".join(wrong)
