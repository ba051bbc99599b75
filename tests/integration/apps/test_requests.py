"""Requests to apps: what a handler gets, what becomes of what it returns, and what happens when it goes wrong."""
# ruff: noqa: E501 - scripts and tables read better in rows

from __future__ import annotations

import asyncio
import base64
import os
import signal
from typing import Any

import pytest
from tests.integration.apps.conftest import Open

from runstead.testing.scenario import AS_ADMINISTRATOR

ECHO = "function echo({ method, path, params, query, form, body, headers }) { return Response.json({ method, path, params, query, form, body, headers }); }"


@pytest.mark.req("HTTP-001", "HTTP-002")
async def test_a_handler_sees_the_request(open_apps: Open) -> None:
    async with open_apps() as host:
        await host.serve(
            ECHO,
            "GET /e/:a/{b} echo",
            "POST /e echo",
            "PUT /e echo",
            "DELETE /e echo",
            "PATCH /e echo",
            "GET /rest/*tail echo",
        )
        seen = (
            await host.client.get("/e/%C3%A9/two?x=1&y=a%20b", headers={**AS_ADMINISTRATOR, "X-Own": "1"})
        ).json()
        assert (seen["params"], seen["query"]) == ({"a": "é", "b": "two"}, {"x": "1", "y": "a b"})
        assert seen["headers"]["x-own"] == "1"
        assert "authorization" not in seen["headers"], "the server's own credentials are nobody else's"
        assert (await host.client.get("/rest/a/b/c")).json()["params"] == {"tail": "a/b/c"}
        form = await host.client.post("/e", data={"name": "Ada & co", "n": "1"})
        assert form.json()["form"] == {"name": "Ada & co", "n": "1"}
        sent = await host.client.post("/e", json={"deep": [1, {"x": None}]})
        assert sent.json()["body"] == '{"deep":[1,{"x":null}]}'
        for method in ("PUT", "DELETE", "PATCH"):
            assert (await host.client.request(method, "/e")).json()["method"] == method


async def test_both_styles_and_promises_are_served(open_apps: Open) -> None:
    handlers = """
    function styleA(request) { return Response.json({ path: request.path }); }
    function styleB(context) { return ResponseBuilder.json({ path: context.request.path, kind: context.kind }, 201); }
    async function later(request) { await null; return { status: 202, body: "later", contentType: "text/plain" }; }
    const arrow = (request) => html`<b>${request.query.q}</b>`;
    """
    async with open_apps() as host:
        await host.serve(handlers, "GET /a styleA", "GET /b styleB", "GET /later later", "GET /arrow arrow")
        assert (await host.client.get("/a")).json() == {"path": "/a"}
        answer = await host.client.get("/b")
        assert (answer.status_code, answer.json()) == (201, {"path": "/b", "kind": "httpRoute"})
        answer = await host.client.get("/later")
        assert (answer.status_code, answer.text) == (202, "later")
        assert (await host.client.get("/arrow?q=<i>")).text == "<b>&lt;i&gt;</b>"


@pytest.mark.req("HTTP-003")
async def test_responses_are_checked_and_mended(open_apps: Open) -> None:
    handlers = """
    function none() {}
    function teapot() { return { status: 418, body: "short and stout", headers: { "X-Pot": "tea" } }; }
    function bytes() { return { bodyBase64: "AAH/", contentType: "application/x-own" }; }
    function typed() { return new Response(new Uint8Array([1, 2, 255]), { headers: { "content-type": "application/x-own" } }); }
    function bad() { return { status: 42, body: "" }; }
    function split() { return { body: "x", headers: { "X-A": "1\\r\\nX-B: 2" } }; }
    function name() { return { body: "x", headers: { "X A": "1" } }; }
    function framing() { return { body: "x", headers: { "Content-Length": "999", "Transfer-Encoding": "chunked" } }; }
    function number() { return 7; }
    """
    names = ("none", "teapot", "bytes", "typed", "bad", "split", "name", "framing", "number")
    async with open_apps() as host:
        await host.serve(handlers, *(f"GET /{name} {name}" for name in names))
        assert (await host.client.get("/none")).status_code == 204
        pot = await host.client.get("/teapot")
        assert (pot.status_code, pot.text, pot.headers["x-pot"]) == (418, "short and stout", "tea")
        assert pot.headers["content-type"] == "text/plain; charset=utf-8"
        assert (await host.client.get("/bytes")).content == b"\x00\x01\xff"
        assert (await host.client.get("/typed")).content == b"\x01\x02\xff"
        assert (await host.client.get("/framing")).headers["content-length"] == "1"
        for broken in ("bad", "split", "name"):
            answer = await host.client.get(f"/{broken}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "E_APP_RESPONSE"), broken
            assert "x-b" not in answer.headers
        assert (await host.client.get("/number")).status_code == 500


async def test_bytes_that_are_no_text_come_as_base64(open_apps: Open) -> None:
    async with open_apps() as host:
        await host.serve(
            "function f(r) { return { bodyBase64: r.bodyBase64, contentType: 'x/y' } }", "POST /f f"
        )
        sent = bytes(range(256))
        answer = await host.client.post("/f", content=sent)
        assert answer.content == sent
        assert base64.b64encode(sent)


async def test_head_is_served_by_get_and_other_methods_are_named(open_apps: Open) -> None:
    async with open_apps() as host:
        await host.serve("function f() { return 'hello' }", "GET /f f")
        head = await host.client.head("/f")
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "5")
        refused = await host.client.post("/f")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.req("HTTP-005")
async def test_a_body_that_is_too_large_is_refused(open_apps: Open) -> None:
    async with open_apps(body_max_bytes=2000) as host:
        await host.serve("function f() { return 'x' }", "POST /f f")
        assert (await host.client.post("/f", content=b"x" * 2000)).status_code == 200
        refused = await host.client.post("/f", content=b"x" * 2001)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "E_TOO_LARGE")


@pytest.mark.req("JS-002", "JS-003", "JS-004")
async def test_a_script_that_takes_too_much_is_stopped_alone(open_apps: Open) -> None:
    handlers = """
    function spin() { while (true) {} }
    function native() { return "x".repeat(30).replace(/(x+x+)+y/, ""); }
    function memory() { const all = []; while (true) all.push("x".repeat(100000) + all.length); }
    function deep() { return deep(); }
    function big() { let n = 3n; for (;;) n = n * n; }
    function fine() { return "fine"; }
    """
    async with open_apps(script_timeout_ms=300) as host:
        await host.serve(
            handlers, *(f"GET /{name} {name}" for name in ("spin", "native", "memory", "deep", "big", "fine"))
        )
        bad = [host.client.get(f"/{name}") for name in ("spin", "native", "memory", "deep", "big")]
        good = [host.client.get("/fine") for _ in range(10)]
        answers = await asyncio.gather(*bad, *good)
        assert answers[0].json()["error"]["code"] == "E_SCRIPT_TIMEOUT"
        assert answers[0].status_code == 504
        assert all(answer.status_code in (500, 502, 504) for answer in answers[:5])
        assert all(answer.text == "fine" for answer in answers[5:])
        assert (await host.client.get("/fine")).text == "fine"


@pytest.mark.req("JS-001", "SEC-004")
async def test_nothing_leaks_from_one_request_or_app_to_another(open_apps: Open) -> None:
    source = """
    globalThis.count = (globalThis.count ?? 0) + 1;
    function f() { const seen = globalThis.mark ?? null; globalThis.mark = "NAME"; Array.prototype.mark = 1; return { seen, count, array: [].mark ?? null }; }
    """
    async with open_apps() as host:
        for name in ("one", "two"):
            await host.serve(source.replace("NAME", name), f"GET /{name} f", app_id=name)
        answers = await asyncio.gather(*(host.client.get(f"/{name}") for name in ("one", "two") * 20))
        assert all(answer.json() == {"seen": None, "count": 1, "array": 1} for answer in answers)


@pytest.mark.req("JS-006")
async def test_production_tells_the_client_nothing_and_the_log_everything(open_apps: Open) -> None:
    async with open_apps() as host:
        await host.serve("function f() {\n  throw new Error('the password is hunter2');\n}", "GET /f f")
        answer = await host.client.get("/f", headers={"X-Request-ID": "r-1"})
        assert (answer.status_code, "hunter2" in answer.text) == (500, False)
        assert answer.json()["error"]["request_id"] == "r-1"
        (line,) = [line for line in host.sink.emitted if line["level"] == "error"]
        assert "hunter2" in line["message"]
        assert "app.js:2" in line["message"]
        assert (line["source"], line["request_id"]) == ("app:app", "r-1")


@pytest.mark.req("JS-006")
async def test_development_shows_what_was_thrown_and_where(open_apps: Open) -> None:
    async with open_apps(profile="dev") as host:
        await host.serve("function f() {\n  throw new TypeError('no such thing');\n}", "GET /f f")
        error = (await host.client.get("/f")).json()["error"]
        assert error["message"] == "TypeError: no such thing"
        assert "app.js:2" in error["details"]["stack"][0]


@pytest.mark.req("LOG-003")
async def test_the_console_goes_to_the_log(open_apps: Open) -> None:
    async with open_apps() as host:
        await host.serve(
            "function f() { console.warn('careful', { a: [1, 'x'] }); writeLog('old'); return '' }",
            "GET /f f",
        )
        await host.client.get("/f")
        assert [(line["level"], line["message"]) for line in host.sink.emitted] == [
            ("warn", 'careful { a: [1, "x"] }'),
            ("info", "old"),
        ]


async def test_a_worker_that_dies_takes_only_its_own_request(open_apps: Open) -> None:
    async with open_apps(workers=2, script_timeout_ms=20_000, request_timeout_ms=20_000) as host:
        await host.serve(
            "function spin() { while (true) {} } function fine() { return 'fine' }",
            "GET /spin spin",
            "GET /fine fine",
        )
        spinning = asyncio.create_task(host.client.get("/spin"))
        while host.pool.figures()["idle"] == 2:  # noqa: ASYNC110 - the pool has no event for it
            await asyncio.sleep(0.01)
        for pid in host.pool.busy_pids():
            os.killpg(pid, signal.SIGKILL)
        answer = await spinning
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "E_SCRIPT_CRASH")
        answers = await asyncio.gather(*(host.client.get("/fine") for _ in range(20)))
        assert all(answer.text == "fine" for answer in answers)


ESCAPES: dict[str, Any] = {
    "function constructor": "(function(){}).constructor('return 1')()",
    "async constructor": "(async function(){}).constructor('return 1')()",
    "generator constructor": "(function*(){}).constructor('return 1')()",
    "async generator constructor": "(async function*(){}).constructor('return 1')()",
    "arrow constructor": "(()=>{}).constructor.constructor('return 1')()",
    "Function": "new Function('return 1')()",
    "Reflect": "Reflect.construct((function(){}).constructor, ['return 1'])()",
    "eval": "eval('1')",
    "indirect eval": "(0, globalThis.eval)('1')",
    "import": "import('fs')",
    "require": "require('fs')",
    "process": "process.env",
    "host": "__host('x', '[]')",
    "console bridge": "__console('x', 'y')",
    "std": "std.open('/etc/passwd', 'r')",
    "frozen bridge": "(() => { 'use strict'; __runstead = 1 })()",
}


@pytest.mark.req("SEC-009")
@pytest.mark.parametrize("attempt", ESCAPES.values(), ids=ESCAPES)
async def test_no_way_out(open_apps: Open, attempt: str) -> None:
    async with open_apps(workers=1, profile="dev") as host:
        handlers = f"async function f() {{ return {{ escaped: String(await ({attempt})) }}; }} function fine() {{ return 'fine' }}"
        await host.serve(handlers, "GET /f f", "GET /fine fine")
        answer = await host.client.get("/f")
        assert answer.status_code == 500, answer.text
        assert "escaped" not in answer.text
        assert (await host.client.get("/fine")).text == "fine"


TRICKS: dict[str, str] = {
    "polluted prototypes": "Object.prototype.status = 599; Object.prototype.toJSON = () => 'x'; Array.prototype.map = null; return { body: 'a' }",
    "patched JSON": "JSON.stringify = () => 'not json'; JSON.parse = null; return { body: 'a' }",
    "a getter that throws": "return { get body() { throw new Error('no') } }",
    "a proxy": "return new Proxy({}, { get() { throw new Error('no') }, has() { return true } })",
    "a thenable for ever": "return { then() {} }",
    "a promise for ever": "return new Promise(() => {})",
    "a circle": "const a = {}; a.a = a; return a",
    "a symbol": "return Symbol('x')",
    "calling the bridge": "return __runstead('f', () => 'a')",
    "much console": "for (let n = 0; n < 100000; n++) console.log('x'.repeat(100000))",
    "a huge body": "return { body: 'x'.repeat(12 * 1024 * 1024) }",
    "many headers": "const headers = {}; for (let n = 0; n < 100000; n++) headers['x-' + n] = 'y'.repeat(50); return { body: '', headers }",
}


@pytest.mark.req("SEC-009")
@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS)
async def test_tricks_hurt_nobody_else(open_apps: Open, trick: str) -> None:
    async with open_apps(workers=1, script_timeout_ms=500) as host:
        await host.serve(
            f"function f() {{ {trick} }} function fine() {{ return 'fine' }}", "GET /f f", "GET /fine fine"
        )
        answer = await host.client.get("/f")
        assert answer.status_code in (200, 500, 502, 504, 599), answer.text[:500]
        assert len(host.sink.emitted) <= 2000
        assert (await host.client.get("/fine")).text == "fine"
