# ruff: noqa: E501 - programs
"""Programs get the secrets that their job or endpoint names, and nothing that they print shows one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.house import EXAMPLES, House

from runstead.testing.files import content_of
from runstead.testing.server import ServerProcess

CANARY = "canary-for-programs-8842"
#: Whole, encoded, in two writes, on both streams.
PRINTS = (
    "python3 -c \"import os,sys,base64,time; v=os.environ['KEY']; print('whole', v); print(base64.b64encode(v.encode()).decode()); "
    "sys.stdout.write('half '+v[:9]); sys.stdout.flush(); time.sleep(0.2); print(v[9:]); print('err', v, file=sys.stderr)\""
)


async def output(client: httpx.AsyncClient, job: str) -> str:
    async with client.stream(
        "GET", f"/api/scripts/{job}/logs", headers={"Accept": "text/event-stream"}
    ) as stream:
        return "\n".join([line async for line in stream.aiter_lines()])


@pytest.mark.req("SEC-005")
async def test_a_job_gets_a_secret_and_cannot_show_it(world: House) -> None:
    owner = world.clients["owner"]
    assert (await owner.post("/editor/api/secrets", json={"id": "key", "value": CANARY})).status_code == 201
    job = await owner.post(
        "/api/scripts", json={"command": PRINTS, "env": {"KEY": "secret://key", "PLAIN": "x"}}
    )
    assert job.status_code == 201, job.text
    job_id = job.json()["id"]
    live = await output(owner, job_id)
    stored = (await owner.get(f"/api/scripts/{job_id}/logs", headers={"Accept": "text/plain"})).text
    for text in (live, stored):
        assert CANARY not in text
        assert base64.b64encode(CANARY.encode()).decode() not in text
        assert "whole ***" in text
        assert "half ***" in text, "also in two writes"
        assert "err ***" in text
    for path in (world.data / "logs").rglob("*.log*"):
        assert CANARY.encode() not in content_of(path)
    assert CANARY.encode() not in (world.data / "runstead.db").read_bytes()
    usage = (await owner.get("/editor/api/secrets/key/usage")).json()
    assert [one["usedBy"] for one in usage["usedBy"]] == [f"job:{job_id}"]
    again = await owner.post(f"/api/scripts/{job_id}/restart")
    assert again.status_code == 200
    assert "whole ***" in await output(owner, job_id)


@pytest.mark.req("SEC-005")
async def test_a_secret_of_somebody_else_is_not_given(world: House) -> None:
    owner, stranger = world.clients["owner"], world.clients["stranger"]
    assert (await owner.post("/editor/api/secrets", json={"id": "key", "value": CANARY})).status_code == 201
    body: dict[str, Any] = {"command": "env", "env": {"KEY": "secret://key"}}
    refused = await stranger.post("/api/scripts", json=body)
    assert refused.status_code == 403
    missing = await owner.post("/api/scripts", json={"command": "env", "env": {"KEY": "secret://nothing"}})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "E_SECRET")
    own = {"scope": f"user:{world.ids['stranger']}"}
    assert (
        await stranger.post("/editor/api/secrets", params=own, json={"id": "key", "value": "of-the-stranger"})
    ).status_code == 201
    mine = await stranger.post("/api/scripts", json={**body, "command": "sh -c 'echo ${#KEY}'"})
    assert mine.status_code == 201, "their own goes before the server's"
    assert f'"line":"{len("of-the-stranger")}"' in await output(stranger, mine.json()["id"])


@pytest.mark.req("SEC-005")
async def test_who_runs_a_job_again_gets_their_own_secrets_and_not_those_of_the_first(world: House) -> None:
    owner, stranger = world.clients["owner"], world.clients["stranger"]
    for name, client, value in (("owner", owner, CANARY), ("stranger", stranger, "short")):
        own = {"scope": f"user:{world.ids[name]}"}
        made = await client.post("/editor/api/secrets", params=own, json={"id": "key", "value": value})
        assert made.status_code == 201
    first = await owner.post("/api/scripts", json={"command": "true", "env": {"KEY": "secret://key"}})
    await output(owner, first.json()["id"])
    again = await stranger.post(
        f"/api/scripts/{first.json()['id']}/rerun", json={"command": "sh -c 'echo ${#KEY}'"}
    )
    assert again.status_code == 201, again.text
    assert f'"line":"{len("short")}"' in await output(stranger, again.json()["id"])


@pytest.mark.req("SEC-005")
async def test_who_changes_a_plan_or_a_template_gets_their_own_secrets_and_not_those_of_its_owner(
    world: House,
) -> None:
    owner, other = world.clients["owner"], world.clients["admin"]
    for name, client, value in (("owner", owner, CANARY), ("admin", other, "short")):
        own = {"scope": f"user:{world.ids[name]}"}
        made = await client.post("/editor/api/secrets", params=own, json={"id": "key", "value": value})
        assert made.status_code == 201
    plan = {"cron": "@yearly", "command": "true", "env": {"KEY": "secret://key"}}
    path = f"/api/schedules/{(await owner.post('/api/schedules', json=plan)).json()['id']}"
    changed = await other.put(path, json={**plan, "command": "sh -c 'echo ${#KEY}'"})
    assert changed.status_code == 200, changed.text
    job = (await other.post(f"{path}/run")).json()
    assert f'"line":"{len("short")}"' in await output(other, job["id"])

    definition = {"command": "true", "env": {"KEY": "secret://key"}}
    made = await owner.post("/api/templates", json={"name": "counts", "definition": definition})
    assert made.status_code == 201
    definition["command"] = "python3 -c 'import os; print(len(os.environ[\"KEY\"]))'"
    changed = await other.put("/api/templates/counts", json=definition)
    assert changed.status_code == 200, changed.text
    ran = await owner.post("/api/templates/counts/run")
    assert f'"line":"{len("short")}"' in await output(owner, ran.json()["id"])


@pytest.mark.req("SEC-005")
async def test_a_template_of_somebody_who_was_erased_opens_nobodys_own_secrets(world: House) -> None:
    owner, stranger, root = (world.clients[name] for name in ("owner", "stranger", "admin"))
    for name, client in (("owner", owner), ("stranger", stranger)):
        own = {"scope": f"user:{world.ids[name]}"}
        made = await client.post("/editor/api/secrets", params=own, json={"id": "key", "value": CANARY})
        assert made.status_code == 201
    definition = {"command": "printenv KEY", "env": {"KEY": "secret://key"}}
    made = await owner.post("/api/templates", json={"name": "shows", "definition": definition})
    assert made.status_code == 201
    plan = {**definition, "cron": "@yearly"}
    schedule = (await owner.post("/api/schedules", json=plan)).json()["id"]
    erased = await root.post(f"/api/privacy/people/{world.ids['owner']}/erase")
    assert erased.json()["complete"], erased.text
    for client, path in ((stranger, "/api/templates/shows/run"), (root, f"/api/schedules/{schedule}/run")):
        ran = await client.post(path)
        assert ran.status_code == 201, ran.text
        await output(client, ran.json()["id"])
        job = (await client.get(f"/api/scripts/{ran.json()['id']}")).json()
        assert (job["status"], job["lines"]) == ("failed", 0)
        assert "secret" in job["reason"]


async def test_a_secret_that_went_fails_the_job_and_says_why(world: House) -> None:
    owner = world.clients["owner"]
    assert (await owner.post("/editor/api/secrets", json={"id": "key", "value": CANARY})).status_code == 201
    job = (await owner.post("/api/scripts", json={"command": "true", "env": {"KEY": "secret://key"}})).json()[
        "id"
    ]
    await output(owner, job)
    assert (await owner.delete("/editor/api/secrets/key")).status_code == 204
    assert (await owner.post(f"/api/scripts/{job}/restart")).status_code == 200
    await output(owner, job)
    told = (await owner.get(f"/api/scripts/{job}")).json()
    assert told["status"] == "failed"
    assert "key" in str(told)


@pytest.mark.req("SEC-005")
@pytest.mark.timeout(120)
def test_an_endpoint_gets_a_secret_and_its_run_folder_does_not(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    script = tmp_path / "show.py"
    script.write_text(
        "import json, os, sys, pathlib\n"
        "value = os.environ['KEY']\n"
        "print(value, file=sys.stderr)\n"
        "pathlib.Path(os.environ['RUNSTEAD_ARTIFACTS'], 'note.txt').write_text(value)\n"
        "print(json.dumps({'results': [{'length': len(value)}], 'new_entries': [], 'warnings': [value]}))\n"
    )
    server = start_server(
        f'{EXAMPLES}\n[[endpoints]]\nname = "show"\npath = "/show"\nscript_path = "{script}"\nenv = ["KEY=secret://key"]\n'
    )
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
        failed = client.post("/show", json={})
        assert failed.status_code >= 500, "before there is such a secret"
        assert client.post("/editor/api/secrets", json={"id": "key", "value": CANARY}).status_code == 201
        answer = client.post("/show", json={})
        assert str(len(CANARY)) in answer.text, answer.text
    server.stop()
    assert CANARY not in server.output
    for path in (server.folder / "data").rglob("*"):
        if path.is_file() and path.name != "master-key":
            assert CANARY.encode() not in content_of(path), path


@pytest.mark.req("SEC-005")
@pytest.mark.timeout(120)
def test_with_descriptors_a_secret_is_in_no_environment(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    """In a file that only the program can open; what it prints of it is masked all the same."""
    script = tmp_path / "show.py"
    script.write_text(
        "import json, os\n"
        "value = open(os.environ['KEY_FILE']).read()\n"
        "begun = open('/proc/self/environ').read()\n"
        "print(json.dumps({'results': [{'length': len(value), 'environment': value in begun, 'KEY': 'KEY' in os.environ}]}))\n"
    )
    server = start_server(
        f'{EXAMPLES}\n[execution]\nsecrets = "descriptor"\n'
        f'[[endpoints]]\nname = "show"\npath = "/show"\nscript_path = "{script}"\nenv = ["KEY=secret://key"]\n'
    )
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
        assert client.post("/editor/api/secrets", json={"id": "key", "value": CANARY}).status_code == 201
        (result,) = client.post("/show", json={}).json()["results"]
        assert result == {"length": len(CANARY), "environment": False, "KEY": False}
        body = {"command": "sh -c 'env; cat $KEY_FILE; echo'", "env": {"KEY": "secret://key"}}
        job = client.post("/api/scripts", json=body).json()["id"]
        headers = {"Accept": "text/event-stream"}
        with client.stream("GET", f"/api/scripts/{job}/logs", headers=headers) as stream:
            told = stream.read().decode()
    assert "KEY_FILE=/proc/self/fd/" in told
    assert "***" in told
    assert CANARY not in told
