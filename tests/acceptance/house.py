"""The whole server, opened in this process, with everybody in it who can exist."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from tests.acceptance.conftest import EXAMPLES

from runstead.bootstrap import opened
from runstead.catalogue import sections
from runstead.platform.config import load

PASSWORD: Final = "violet-Kettle-27-harbour"
MASTER_PASSWORD: Final = "master-password-of-the-matrix"

#: Everybody. `stranger` and `owner` are both developers; `owner` owns the app and the job that are asked about. `granted` has no
#: role, but owns the app by a grant; `member` has none either, but is in a group that is in the group of viewers. `narrow` is
#: the token of an administrator whose scope is reading jobs. `root` holds the machine's admin token.
NOBODY, OPERATOR, ROOT = "nobody", "operator", "root"
PEOPLE = frozenset({"viewer", "member", "tester", "designer", "stranger", "owner", "granted", "admin"})
EVERYBODY = PEOPLE | {NOBODY, OPERATOR, ROOT, "narrow"}


@dataclass
class House:
    """The whole server with everybody in it."""

    clients: Mapping[str, httpx.AsyncClient]
    paths: Mapping[str, Any]
    #: Path parameter → what is asked about.
    values: Mapping[str, str]
    #: Name → id of the person.
    ids: Mapping[str, str]
    data: Path
    #: Makes a client with these headers.
    client: Callable[..., Awaitable[httpx.AsyncClient]]


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
    config.write_text(EXAMPLES + "\n[identity]\nlockout_attempts = 1000000\n[tenants]\nenabled = true\n")
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
        plan = {"cron": "@yearly", "command": "true"}
        schedule = (await owner.post("/api/schedules", json=plan)).json()["id"]
        template = {"name": "greet", "definition": {"command": "true"}}
        assert (await owner.post("/api/templates", json=template)).status_code == 201
        values = {
            "template": "greet",
            "app_id": "mine",
            "job_id": job["id"],
            "name": "wordcount",
            "number": "1",
            "secret_id": "of-owner",
            "schedule_id": schedule,
        }
        yield House(
            clients, (await root.get("/openapi.json")).json()["paths"], values, ids, folder / "data", client
        )


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
