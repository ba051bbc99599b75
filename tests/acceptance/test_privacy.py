"""What is known of people: shown, copied out, erased; and what ends with a thing that is removed."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import time
from typing import Any

import httpx
import pytest
from tests.acceptance.house import PASSWORD, ROOT, House

from runstead.testing.files import content_of


async def send_logs(root: httpx.AsyncClient, user_ids: list[str]) -> None:
    project = (await root.post("/admin/projects", json={"slug": "shop"})).json()
    events = [{"level": "info", "message": f"basket of {name}", "user_id": name} for name in user_ids]
    body, stamp = json.dumps({"events": events}).encode(), str(int(time.time()))
    signature = hmac.new(
        project["hmac_secret"].encode(), f"{stamp}.".encode() + body, hashlib.sha256
    ).hexdigest()
    headers = {
        "X-Project-Key": project["project_key"],
        "X-Timestamp": stamp,
        "X-Signature": signature,
        "Content-Type": "application/json",
    }
    answer = await root.post("/api/log", content=body, headers=headers)
    assert answer.status_code < 300, answer.text


async def make_plans(owner: httpx.AsyncClient, user_id: str) -> None:
    secret, scope = {"id": "mine", "value": "value-of-mine"}, {"scope": f"user:{user_id}"}
    assert (await owner.post("/editor/api/secrets", params=scope, json=secret)).status_code == 201
    plan = {"cron": "@yearly", "command": "echo planned", "env": {"KEY": "secret://mine"}}
    assert (await owner.post("/api/schedules", json=plan)).status_code == 201
    template = {"name": "hers", "definition": {"command": "echo made"}}
    assert (await owner.post("/api/templates", json=template)).status_code == 201


async def finished(client: httpx.AsyncClient, job: str) -> None:
    headers = {"Accept": "text/event-stream"}
    async with client.stream("GET", f"/api/scripts/{job}/logs", headers=headers) as stream:
        async for _line in stream.aiter_lines():
            pass


@pytest.mark.req("SEC-014")
async def test_somebody_is_erased_from_the_whole_server_with_a_report(world: House) -> None:
    root, owner = world.clients[ROOT], world.clients["owner"]
    user_id = world.ids["owner"]
    assert (await root.patch(f"/api/users/{user_id}", json={"mail": "owner@example.org"})).status_code == 200
    browser = await world.client(**{"User-Agent": "Firefox/140"})
    await browser.post("/auth/login", json={"name": "owner", "password": PASSWORD})
    await make_plans(owner, user_id)
    await send_logs(root, ["owner@example.org", user_id, "somebody-else"])
    job = (await owner.post("/api/scripts", json={"command": "echo personal-output"})).json()["id"]
    for ended in (job, world.values["job_id"]):
        await finished(owner, ended)
    running = (await owner.post("/api/scripts", json={"command": "sleep 60"})).json()["id"]

    known = (await root.get("/api/privacy/people/owner@example.org")).json()
    assert "echo planned" in {one["command"] for one in known["jobs.schedules"]}
    assert "hers" in {one["name"] for one in known["jobs.templates"]}
    assert known["identity.account"]["mail"] == "owner@example.org"
    assert known["apps.owner"] == ["mine"]
    assert known["secrets.own"] == ["mine"]
    assert {one["message"] for one in known["logs.events"]} == {
        "basket of owner@example.org",
        f"basket of {user_id}",
    }
    assert job in {one["id"] for one in known["jobs.owned"]}
    assert "value-of-mine" not in json.dumps(known)

    report = (await root.post("/api/privacy/people/owner@example.org/erase")).json()
    assert report["complete"], report
    outcomes = {one["data"]: (one["outcome"], one["count"]) for one in report["outcomes"]}
    assert outcomes["identity.account"] == ("removed", 1)
    assert outcomes["apps.owner"] == ("anonymised", 1)
    assert outcomes["secrets.own"] == ("removed", 1)
    assert outcomes["logs.events"] == ("removed", 2)
    assert outcomes["jobs.running"] == ("anonymised", 1)
    assert outcomes["jobs.owned"][1] >= 1
    assert outcomes["jobs.schedules"] == ("anonymised", len(known["jobs.schedules"]))
    assert outcomes["jobs.templates"] == ("anonymised", len(known["jobs.templates"]))
    assert outcomes["audit.entries"][0] == "kept"

    assert (await owner.get("/api/scripts")).status_code == 401
    assert (await browser.get("/auth/me")).json()["kind"] == "anonymous"
    assert (await root.get(f"/api/scripts/{job}")).status_code == 404
    assert (await root.get(f"/api/scripts/{running}")).status_code == 200, "it goes on, as nobody's"
    left = [one["message"] for one in (await root.get("/api/log", params={"q": "basket"})).json()["logs"]]
    assert left == ["basket of somebody-else"]
    await root.post(f"/api/scripts/{running}/kill")
    assert b"personal-output" not in b"".join(
        content_of(path) for path in (world.data / "logs").rglob("*.log*")
    )
    connection = sqlite3.connect(world.data / "runstead.db")
    columns = rows_with(connection, "owner@example.org")
    subjects = [row for row in rows_with(connection, f"user:{user_id}") if row.startswith("jobs_")]
    connection.close()
    assert columns == [], "no row says the name any more"
    assert subjects == [], "and no job, schedule or template whose it was"
    again = (await root.post("/api/privacy/people/owner@example.org/erase")).json()
    assert (again["complete"], again["account"]) == (True, None)
    assert (await root.get("/api/audit/verify")).json()["whole"], "the trail is as it was written"


def rows_with(connection: sqlite3.Connection, text: str) -> list[str]:
    """Tables in which some row still holds this text."""
    found = []
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if "_fts" in table or table.startswith("sqlite_"):
            continue
        rows = connection.execute(f'SELECT * FROM "{table}"')
        found += [
            f"{table}: {row}" for row in rows if any(text in one for one in row if isinstance(one, str))
        ]
    return found


async def test_the_last_administrator_cannot_be_erased_and_the_report_says_so(world: House) -> None:
    report = (await world.clients[ROOT].post("/api/privacy/people/admin/erase")).json()
    assert not report["complete"]
    assert "administrat" in report["failed"][0]
    assert (await world.clients["admin"].get("/api/users")).status_code == 200


@pytest.mark.req("SEC-014")
async def test_every_class_of_data_says_how_long_and_what_erasure_does(world: House) -> None:
    classes = (await world.clients[ROOT].get("/api/privacy/classes")).json()["classes"]
    assert {one["name"].partition(".")[0] for one in classes} >= {
        "apps", "jobs", "logs", "identity", "secrets", "audit", "limits",
    }  # fmt: skip
    for one in classes:
        assert one["retention"], one
        assert (one["erasure"] != "kept") or one["reason"], one


@pytest.mark.req("AUTH-009")
async def test_people_see_their_own_history(world: House) -> None:
    viewer = world.clients["viewer"]
    nobody = world.clients["nobody"]
    await nobody.post("/auth/login", json={"name": "viewer", "password": PASSWORD})
    entries = (await viewer.get("/auth/history")).json()["entries"]
    assert [one["action"] for one in entries] == ["identity.login", "identity.login"]
    assert {one["actor"] for one in entries} == {f"user:{world.ids['viewer']}"}


async def test_what_was_allowed_on_an_app_ends_with_it(world: House) -> None:
    """Whoever makes the next app of that name owes nothing to those who had rights on the last one."""
    root, owner, granted = (world.clients[name] for name in (ROOT, "owner", "granted"))
    scope: dict[str, Any] = {"params": {"scope": "app:mine"}}
    assert (
        await root.post("/editor/api/secrets", **scope, json={"id": "key", "value": "old-value"})
    ).status_code == 201
    assert (await granted.get("/api/apps/mine")).status_code == 200
    assert (await owner.delete("/api/apps/mine")).status_code == 204
    stranger = world.clients["stranger"]
    assert (await stranger.put("/api/apps/mine", content=b"function init() {}")).status_code == 201
    assert (await root.get("/api/grants")).json()["grants"] == []
    assert (await root.get("/editor/api/secrets", **scope)).json() == {"secrets": []}
    fresh = await world.client(**{"User-Agent": "Firefox/140"})
    await fresh.post("/auth/login", json={"name": "granted", "password": PASSWORD})
    assert (await fresh.get("/api/apps/mine")).status_code == 403


async def test_an_app_is_given_to_somebody_else(world: House) -> None:
    owner, stranger = world.clients["owner"], world.clients["stranger"]
    give = {"owner": f"user:{world.ids['stranger']}"}
    assert (await stranger.put("/api/apps/mine/owner", json=give)).status_code == 403
    assert (await owner.put("/api/apps/mine/owner", json=give)).json()["owner"] == give["owner"]
    assert (await owner.put("/api/apps/mine", content=b"function init() {}")).status_code == 403
    assert (await stranger.put("/api/apps/mine", content=b"function init() {}")).status_code == 200
