"""Many callers, callers that leave, declarations that change, a server that stops."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.integration.endpoints.conftest import World, declare, processes, python, shell, until, world

from runstead.platform.execution.process import sandbox_status
from runstead.platform.http import ClientDisconnectedError

#: Runs until it is let go, by a file in its artifacts.
WAITS = 'echo started >&2; until [ -e "$RUNSTEAD_ARTIFACTS/go" ]; do sleep 0.02; done; echo "{}"'


def let_go(served: World) -> None:
    for folder in served.runs():
        (folder / "artifacts/go").touch()


async def started(served: World, count: int) -> None:
    await until(lambda: sum(line.message == "started" for line in served.logs.lines) >= count)


async def test_no_more_run_than_declared_the_next_wait_and_the_rest_is_told_to_come_back(
    tmp_path: Path,
) -> None:
    declared = [declare(shell(tmp_path, WAITS), concurrency=2, queue_limit=1)]
    async with world(tmp_path, declared) as served:
        calls = [asyncio.ensure_future(served.client.post("/a")) for _ in range(3)]
        await started(served, 2)
        busy = await served.client.post("/a")
        assert (busy.status_code, busy.json()["error"]["code"]) == (503, "E_BUSY")
        assert int(busy.headers["Retry-After"]) >= 1
        assert busy.json()["error"]["details"] == {
            "limit": "endpoints.queue_limit",
            "allowed": 1,
            "waiting": 1,
            "running": 2,
        }
        assert len(served.runs()) == 2
        let_go(served)
        await started(served, 3)
        let_go(served)
        assert [response.status_code for response in await asyncio.gather(*calls)] == [200, 200, 200]
        assert served.result()["queued_ms"] > 0


async def test_one_endpoint_that_is_full_does_not_hold_up_another(tmp_path: Path) -> None:
    declared = [
        declare(shell(tmp_path, WAITS), concurrency=1, queue_limit=0),
        declare(shell(tmp_path, "echo '{}'", "b.sh"), "b"),
    ]
    async with world(tmp_path, declared) as served:
        call = asyncio.ensure_future(served.client.post("/a"))
        await started(served, 1)
        assert (await served.client.post("/b")).status_code == 200
        let_go(served)
        assert (await call).status_code == 200


async def leave(served: World, path: str, after: asyncio.Event) -> list[Any]:
    """Call as a client that closes its connection when the event comes; what the server sent."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "state": {"request_id": "gone"},
    }
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])
    sent: list[Any] = []

    async def receive() -> Any:
        for message in messages:
            return message
        await after.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    app = served.capability.dispatchers[0].match(scope)
    assert app is not None
    with pytest.raises(ClientDisconnectedError):
        await app(scope, receive, send)
    return sent


async def test_a_caller_that_leaves_takes_its_program_along(tmp_path: Path) -> None:
    mark = f"{uuid.uuid4().int}"
    body = f"echo started >&2; sleep {mark} & sleep {mark}"
    left = asyncio.Event()
    async with world(tmp_path, [declare(shell(tmp_path, body), concurrency=1)]) as served:
        leaving = asyncio.ensure_future(leave(served, "/a", left))
        await started(served, 1)
        left.set()
        assert await leaving == []
        await until(lambda: processes(mark) == [])
        await until((served.runs()[0] / "result.json").exists)
        assert served.result()["status"] == "cancelled"
        # Its slot is free again.
        await until(lambda: served.service.overview()[0]["running"] == 0)
        assert served.service.overview()[0]["failures"] == {"E_CLIENT_GONE": 1}


async def test_a_caller_that_leaves_the_queue_runs_nothing(tmp_path: Path) -> None:
    left = asyncio.Event()
    declared = [declare(shell(tmp_path, WAITS), concurrency=1, queue_limit=1)]
    async with world(tmp_path, declared) as served:
        call = asyncio.ensure_future(served.client.post("/a"))
        await started(served, 1)
        leaving = asyncio.ensure_future(leave(served, "/a", left))
        await until(lambda: served.service.overview()[0]["waiting"] == 1)
        left.set()
        await leaving
        assert served.service.overview()[0]["waiting"] == 0
        let_go(served)
        assert (await call).status_code == 200
        assert len(served.runs()) == 1


async def test_new_declarations_serve_at_once_and_what_runs_ends_under_the_old(tmp_path: Path) -> None:
    old = declare(shell(tmp_path, WAITS, "old.sh"))
    new = [
        declare(shell(tmp_path, 'echo \'{"results": ["new"]}\'', "new.sh"), "b", path="/a"),
        declare("new.sh", "c", method="GET"),
    ]
    async with world(tmp_path, [old]) as served:
        call = asyncio.ensure_future(served.client.post("/a"))
        await started(served, 1)
        served.service.replace(new)
        assert (await served.client.post("/a")).json()["results"] == ["new"]
        assert (await served.client.get("/c")).status_code == 200
        assert [each["name"] for each in served.service.overview()] == ["b", "c"]
        (served.runs()[0].parents[1] / "a").is_dir()
        let_go(served)
        assert (await call).status_code == 200
        paths = (await served.client.get("/openapi.json")).json()["paths"]
        assert "endpoint_c" in str(paths["/c"])


async def test_an_endpoint_that_stays_keeps_its_queue_through_a_replacement(tmp_path: Path) -> None:
    declared = [declare(shell(tmp_path, WAITS), concurrency=1, queue_limit=0)]
    async with world(tmp_path, declared) as served:
        call = asyncio.ensure_future(served.client.post("/a"))
        await started(served, 1)
        served.service.replace(declared)
        assert (await served.client.post("/a")).status_code == 503
        let_go(served)
        assert (await call).status_code == 200


async def test_a_stopping_server_ends_its_programs_answers_and_leaves_whole_folders(tmp_path: Path) -> None:
    mark = f"{uuid.uuid4().int}"
    script = shell(tmp_path, f"echo started >&2; sleep {mark}")
    async with world(tmp_path, [declare(script)]) as served:
        lifespan = served.capability.lifespan
        assert lifespan is not None
        async with lifespan():
            call = asyncio.ensure_future(served.client.post("/a"))
            await started(served, 1)
        response = await call
        assert (response.status_code, response.json()["error"]["code"]) == (503, "E_BUSY")
        assert not processes(mark)
        assert served.result()["status"] == "cancelled"
        assert (await served.client.post("/a")).status_code == 503


async def test_a_program_gets_no_variable_that_was_not_allowed(tmp_path: Path) -> None:
    script = python(tmp_path, "import json, os; print(json.dumps({'results': [dict(os.environ)]}))")
    environ = {"MASTER_PASSWORD": "hidden-from-all", "TOKEN": "t", "OTHER": "o"}
    async with world(tmp_path, [declare(script, env=["TOKEN"])], environ=environ) as served:
        response = await served.client.post("/a")
    (seen,) = response.json()["results"]
    assert seen["TOKEN"] == "t"
    assert seen["RUNSTEAD_RUN_ID"] == response.json()["run_id"]
    assert seen["RUNSTEAD_ARTIFACTS"].endswith("/artifacts")
    assert "OTHER" not in seen
    assert "hidden-from-all" not in response.text


@pytest.mark.skipif(not sandbox_status().available, reason=sandbox_status().reason)
async def test_a_script_beside_the_servers_own_files_sees_neither_secrets_nor_other_runs(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("MASTER_PASSWORD=hidden-from-all")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/admin-token").write_text("hidden-from-all")
    script = python(
        tmp_path,
        """
import json, os, pathlib
here = pathlib.Path(__file__).parent
found = [str(path) for path in here.rglob("*") if path.is_file()]
try:
    found.append((here / ".env").read_text())
except OSError as error:
    found.append(type(error).__name__)
kept = pathlib.Path(os.environ["RUNSTEAD_ARTIFACTS"], "kept")
kept.write_text("kept")
print(json.dumps({"results": [found, (here / "beside.txt").read_text()]}))
""",
    )
    (tmp_path / "beside.txt").write_text("seen")
    async with world(tmp_path, [declare(script)]) as served:
        await served.client.post("/a")
        response = await served.client.post("/a")
        assert (served.runs()[-1] / "artifacts/kept").read_text() == "kept"
    found, beside = response.json()["results"]
    assert beside == "seen"
    assert "hidden-from-all" not in found
    assert not any("/data/" in path and not path.endswith("/kept") for path in found)


@pytest.mark.req("EP-009")
@pytest.mark.skipif(not sandbox_status().available, reason=sandbox_status().reason)
@pytest.mark.parametrize(("network", "reached"), [(False, False), (True, True)])
async def test_a_program_has_a_network_only_when_its_declaration_says_so(
    tmp_path: Path, network: bool, reached: bool
) -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    script = python(
        tmp_path,
        f"""
import socket
try:
    socket.create_connection(("127.0.0.1", {port}), 5).close()
    print('{{"results": [true]}}')
except OSError:
    print('{{"results": [false]}}')
""",
    )
    async with listener, world(tmp_path, [declare(script, network=network)]) as served:
        response = await served.client.post("/a")
    assert response.json()["results"] == [reached]
