"""The whole server, opened in this process, with everybody in it who can exist."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from runstead.bootstrap import opened
from runstead.catalogue import sections
from runstead.platform.config import load

REPOSITORY: Final = Path(__file__).parents[2]

#: The shipped examples. Of the apps only hello: what they answer is for test_example_apps.
EXAMPLES = f"""
[apps]
folders = ["{REPOSITORY}/tests/acceptance/apps"]
[[endpoints]]
name = "wordcount"
path = "/wordcount"
script_path = "{REPOSITORY}/examples/endpoints/wordcount.py"
[runs]
record = true
[jobs]
record = true
working_dir = "{REPOSITORY}"
"""

PASSWORD: Final = "violet-Kettle-27-harbour"
MASTER_PASSWORD: Final = "master-password-of-the-matrix"
ADMIN_TOKEN: Final = "admin-token-of-the-matrix"

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
    headers: dict[str, dict[str, str]],
) -> dict[str, str]:
    """Make everybody, each with a token that goes into ``headers``; their ids."""
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
        headers[name], ids[name] = {"Authorization": f"Bearer {token}"}, user["id"]
        if name == "admin":
            narrow = await browser.post("/api/tokens", json={"name": "narrow", "scopes": ["jobs.read"]})
            headers["narrow"] = {"Authorization": f"Bearer {narrow.json()['token']}"}
    return ids


@dataclass(frozen=True)
class Furnished:
    """A house that was built and left. Whoever wants one gets a copy: to make everybody takes ten seconds, mostly of Argon2."""

    data: Path
    #: Name → what the person sends with each request.
    headers: Mapping[str, Mapping[str, str]]
    paths: Mapping[str, Any]
    values: Mapping[str, str]
    ids: Mapping[str, str]


async def furnish(folder: Path) -> Furnished:
    """Build a house with everybody in it, and leave it."""
    async with _open(folder) as client:
        headers = {
            NOBODY: {},
            OPERATOR: {"X-Master-Password": MASTER_PASSWORD},
            ROOT: {"X-Admin-Token": ADMIN_TOKEN},
        }
        root = await client(**headers[ROOT])
        ids = await people(root, client, headers)
        outer = (await root.post("/api/groups", json={"name": "readers", "roles": ["viewer"]})).json()["id"]
        inner = (await root.post("/api/groups", json={"name": "interns"})).json()["id"]
        await root.put(f"/api/groups/{outer}/members/group:{inner}")
        await root.put(f"/api/groups/{inner}/members/user:{ids['member']}")
        await root.post(
            "/api/grants",
            json={"subject": f"user:{ids['granted']}", "permission": "owner", "resource": "app:mine"},
        )
        values = await things(await client(**headers["owner"]))
        paths = (await root.get("/openapi.json")).json()["paths"]
    return Furnished(folder / "data", headers, paths, values, ids)


async def things(owner: httpx.AsyncClient) -> dict[str, str]:
    """One of each, made by the owner: path parameter → which."""
    assert (await owner.put("/api/apps/mine", content=b"function init() {}")).status_code == 201
    job = (await owner.post("/api/scripts", json={"command": "true"})).json()
    secret = {"id": "of-owner", "value": "value-of-owner"}
    assert (await owner.post("/editor/api/secrets", json=secret)).status_code == 201
    plan = {"cron": "@yearly", "command": "true"}
    schedule = (await owner.post("/api/schedules", json=plan)).json()["id"]
    template = {"name": "greet", "definition": {"command": "true"}}
    assert (await owner.post("/api/templates", json=template)).status_code == 201
    return {
        "template": "greet",
        "app_id": "mine",
        "job_id": job["id"],
        "name": "wordcount",
        "number": "1",
        "secret_id": "of-owner",
        "schedule_id": schedule,
    }


@asynccontextmanager
async def house(folder: Path, furnished: Furnished) -> AsyncIterator[House]:
    """A copy of the furnished one, open."""
    await asyncio.to_thread(shutil.copytree, furnished.data, folder / "data")
    async with _open(folder) as client:
        clients = {name: await client(**headers) for name, headers in furnished.headers.items()}
        yield House(clients, furnished.paths, furnished.values, furnished.ids, folder / "data", client)


@asynccontextmanager
async def _open(folder: Path) -> AsyncIterator[Callable[..., Awaitable[httpx.AsyncClient]]]:
    """The server over this folder; what it gives makes clients, each with its headers."""
    config = folder / "runstead.toml"
    config.write_text(EXAMPLES + "\n[identity]\nlockout_attempts = 1000000\n[tenants]\nenabled = true\n")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "RUNSTEAD_ADMIN_TOKEN": ADMIN_TOKEN,
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

        yield client


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
