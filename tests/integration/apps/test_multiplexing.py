# ruff: noqa: E501 - scripts
"""One worker serves many requests that wait, and one that cannot be interrupted harms nobody else. Through HTTP, real workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from tests.integration.apps.conftest import Open

from runstead.platform.execution.script import Invocation, Program, ScriptPool

WAITS = """
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let seen = 0;
async function slow(context) { seen += 1; await wait(Number(context.request.query.ms)); return Response.json({ seen, id: context.request.query.id }); }
async function never() { await new Promise(() => {}); }
async function many() { await Promise.all(Array.from({ length: 200 }, () => wait(1))); return 'all'; }
async function cleared() { let fired = false; const id = setTimeout(() => { fired = true; }, 5); clearTimeout(id); await wait(30); return String(fired); }
async function thrown() { await wait(1); throw new TypeError('after a wait'); }
"""
ROUTES = (
    "GET /slow slow",
    "POST /slow slow",
    "GET /never never",
    "GET /many many",
    "GET /cleared cleared",
    "GET /thrown thrown",
)
#: Mentions a call that blocks, so the engine lets it run for the whole time of a request: only its worker's end stops it.
SPINS = "/* fetchSync */ function spin() { for (;;); }"


async def until(true: Callable[[], bool]) -> None:
    """What the pool does, nobody announces."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_requests_that_wait_share_a_worker(open_apps: Open) -> None:
    async with open_apps(workers=1) as host:
        await host.serve(WAITS, *ROUTES)
        loop = asyncio.get_running_loop()
        started = loop.time()
        answers = await asyncio.gather(
            *(host.client.get("/slow", params={"ms": 500, "id": str(number)}) for number in range(30))
        )
        assert [answer.json() for answer in answers] == [
            {"seen": 1, "id": str(number)} for number in range(30)
        ]
        assert loop.time() - started < 30 * 0.5 / 2, "one after the other would have taken fifteen seconds"
        assert host.pool.figures()["open"] == 0


@pytest.mark.req("HTTP-004")
async def test_waiting_ends_in_every_way(open_apps: Open) -> None:
    async with open_apps(workers=1, profile="dev", request_timeout_ms=1500) as host:
        await host.serve(WAITS, *ROUTES)
        never = await host.client.get("/never")
        assert never.status_code == 500
        assert "nothing can settle" in never.text
        assert (await host.client.get("/many")).text == "all"
        assert (await host.client.get("/cleared")).text == "false"
        thrown = await host.client.get("/thrown")
        assert thrown.status_code == 500
        assert "TypeError: after a wait" in thrown.text
        assert "app.js:" in thrown.text
        late = await host.client.get("/slow", params={"ms": 60_000})
        assert late.status_code == 408
        assert (await host.client.get("/cleared")).text == "false"
        assert host.pool.replaced == 0, "who only waits costs no worker"
        assert host.pool.figures()["open"] == 0


async def test_one_that_cannot_be_interrupted_harms_nobody_else(open_apps: Open) -> None:
    async with open_apps(workers=1, script_timeout_ms=300) as host:
        await host.serve(WAITS, *ROUTES)
        await host.serve(SPINS, "GET /spin spin", app_id="spinner")
        safe = asyncio.create_task(host.client.get("/slow", params={"ms": 700, "id": "safe"}))
        unsafe = asyncio.create_task(host.client.post("/slow", params={"ms": 700, "id": "unsafe"}))
        await until(lambda: host.pool.figures()["open"] == 2 and not host.pool.busy_pids())
        spinning = asyncio.create_task(host.client.get("/spin"))
        await until(lambda: bool(host.pool.busy_pids()))
        behind = asyncio.create_task(host.client.post("/slow", params={"ms": 1, "id": "behind"}))
        assert (await spinning).json()["error"]["code"] == "E_SCRIPT_TIMEOUT"
        assert (await behind).json() == {"seen": 1, "id": "behind"}, (
            "it had not begun, so it is run elsewhere"
        )
        assert (await safe).json() == {"seen": 1, "id": "safe"}, "a GET is repeated"
        assert (await unsafe).json()["error"]["code"] == "E_SCRIPT_CRASH", "a POST may have done something"
        assert host.pool.replaced == 1


async def test_only_so_many_calls_are_in_flight() -> None:
    source = """async function many() {
      const all = await Promise.allSettled(Array.from({ length: 60 }, () => fetch('http://127.0.0.1:1/')));
      return Response.json(all.map((one) => one.reason.message));
    }"""
    asked = 0
    may_answer = asyncio.Event()

    async def host(_name: str, _arguments: str) -> str:
        nonlocal asked
        asked += 1
        await may_answer.wait()
        raise RuntimeError

    async with ScriptPool(workers=1) as pool:
        request = {"method": "GET", "headers": {}, "body": ""}
        argument = {"request": request, "kind": "httpRoute", "args": {}}
        running = asyncio.create_task(
            pool.run(
                Program.of("app.js", source), Invocation(function="many", argument=argument), host_calls=host
            )
        )
        # Its turn is over when it has made all sixty: an answer before that would free a place for a later one.
        await until(lambda: asked == 50 and not pool.busy_pids())
        may_answer.set()
        outcome = await running
    messages = json.loads(outcome.value["body"])
    assert asked == 50
    assert sum("50 calls" in text for text in messages) == 10
    assert messages.count("the call failed") == 50


async def test_one_that_is_given_up_disturbs_no_call_of_another() -> None:
    parked = Program.of(
        "parked.js", "async function go() { await new Promise((done) => setTimeout(done, 60000)); }"
    )
    asking = Program.of("asking.js", "function go() { return String(sharedStorage.getItem('k')); }")
    argument = {"request": {"method": "GET", "headers": {}, "body": ""}, "kind": "httpRoute", "args": {}}
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def host(_name: str, _arguments: str) -> str:
        is_asked.set()
        await may_answer.wait()
        return '"answered"'

    async with ScriptPool(workers=1) as pool:
        waits = asyncio.create_task(pool.run(parked, Invocation(function="go", argument=argument)))
        await until(lambda: pool.figures()["open"] == 1 and not pool.busy_pids())
        asks = asyncio.create_task(
            pool.run(asking, Invocation(function="go", argument=argument), host_calls=host)
        )
        await is_asked.wait()
        waits.cancel()
        await asyncio.wait({waits})
        may_answer.set()
        assert (await asks).value["body"] == "answered"
        assert pool.figures()["open"] == 0
        assert pool.replaced == 0
