# ruff: noqa: E501 - scripts
"""Every name that scripts may use, in both styles, through HTTP."""

from __future__ import annotations

import hashlib

import pytest
from tests.conformance.apps.town import Town
from tests.integration.egress.test_egress import Others, others

from runstead.kernel.secret import Secret

__all__ = ["others"]

STYLE_A = r"""
const kinds = (names) => names.map((name) => [name, typeof globalThis[name]]);
function known() {
  return Response.json(Object.fromEntries(kinds([
    'register', 'registerHandler', 'registerWebStream', 'sendStreamMessageToPath', 'registerGraphQLQuery', 'registerGraphQLMutation',
    'registerGraphQLSubscription', 'sendSubscriptionMessage', 'registerMCPTool', 'registerMCPResource', 'registerMCPPrompt', 'registerWebhook',
    'writeLog', 'Request', 'Response', 'Headers', 'URL', 'URLSearchParams', 'TextEncoder', 'TextDecoder', 'atob', 'btoa', 'structuredClone',
    'AbortController', 'AbortSignal', 'fetch', 'escapeHtml', 'escapeJs', 'encodeUrl', 'html', 'setTimeout', 'clearTimeout', 'h', 'Fragment', 'McpClient',
  ])));
}
async function web() {
  const controller = new AbortController();
  let aborted = 0;
  controller.signal.addEventListener('abort', () => { aborted += 1; });
  controller.abort();
  const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const original = { when: new Date(5), list: [1, { two: 2 }], map: new Map([['a', new Set([1])]]), bytes: new Uint8Array([1, 2]) };
  original.self = original;
  const copy = structuredClone(original);
  const request = new Request('http://x/y', { method: 'post', headers: { A: 'b' }, body: '{"c":1}' });
  const headers = new Headers([['A', '1'], ['a', '2']]);
  return Response.json({
    aborted: [aborted, controller.signal.aborted, controller.signal.reason.name],
    early: await fetch('http://127.0.0.1:1/', { signal: AbortSignal.abort() }).catch((error) => error.name),
    late: await fetch('http://127.0.0.1:1/', { signal: AbortSignal.timeout(60000) }).then(() => 'answered', () => 'failed'),
    digests: await Promise.all(['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'].map(async (name) => hex(await crypto.subtle.digest(name, new TextEncoder().encode('abc'))))),
    noDigest: await crypto.subtle.digest('MD5', new Uint8Array(1)).catch((error) => error.name),
    uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()),
    random: crypto.getRandomValues(new Uint8Array(32)).some((byte) => byte > 0),
    clone: [copy !== original, copy.self === copy, copy.when.getTime(), copy.list[1].two, copy.map.get('a').has(1), copy.bytes[1], copy.bytes !== original.bytes],
    noClone: (() => { try { structuredClone(() => 1); } catch (error) { return error.name; } })(),
    base64: [btoa('hello'), atob('aGVsbG8=')],
    text: new TextDecoder().decode(new TextEncoder().encode('ü€😀')),
    url: [new URL('../b?x=1#y', 'https://h:8443/a/c/d').href, new URLSearchParams('a=1&a=2&b=%20').getAll('a'), new URL('https://h/').searchParams.size],
    request: [request.method, request.headers.get('a'), (await request.json()).c],
    headers: [headers.get('A'), [...headers.keys()]],
  });
}
function log() { console.log('said', { a: [1] }); console.info('i'); console.warn('w'); console.error('e'); console.debug('d'); writeLog('old'); return null; }
function escaping() {
  const evil = `<script>alert("x")</script>'&`;
  return html`<p title="${evil}">${evil}</p><a href="/?q=${encodeUrl(evil)}">${['<', html`<b>ok</b>`]}</a><script>const a = "${html([escapeJs(evil)])}"</script>`;
}
function shapes(c) {
  switch (c.request.params.kind) {
    case 'response': return new Response('r', { status: 201, headers: { 'x-a': '1' } });
    case 'object': return { status: 202, body: 'o', headers: { 'x-a': '2' }, contentType: 'text/x-a' };
    case 'base64': return { status: 200, bodyBase64: btoa('bytes'), contentType: 'application/x-b' };
    case 'promise': return Promise.resolve(Response.json({ a: 1 }));
    case 'list': return { status: 200, stream: ['a', new Uint8Array([98]), 'c'], contentType: 'text/plain' };
    case 'flow': return new Response((async function* () { for (const piece of ['x', 'y', 'z']) { await new Promise((r) => setTimeout(r, 5)); yield piece; } })(), { headers: { 'content-type': 'text/csv' } });
    case 'broken': return new Response((async function* () { yield 'begun'; throw new Error('half way'); })());
    case 'data': return { plain: true };
    case 'none': return undefined;
  }
}
function request(c) {
  const { method, path, httpVersion, headers, query, params, body, ip, requestId } = c;
  return Response.json({ method, path, httpVersion, agent: headers['user-agent'] !== undefined, query, params, body, json: body ? c.json() : null, ip: typeof ip, id: requestId.length > 8, same: c.request === c, form: c.form, files: c.files });
}
async function upload(c) {
  const [file] = c.files;
  let pieces = 0;
  for await (const piece of file.stream()) pieces += piece.length;
  const kept = c.query.keep ? await file.save('uploads/' + file.name) : null;
  return Response.json({ form: c.form, count: c.files.length, name: file.name, field: file.field, type: file.type, size: file.size, pieces, start: (await file.text()).slice(0, 5), kept });
}
async function remote(c) {
  const mcp = new McpClient(c.query.url + '/mcp', 'token');
  const answer = await fetch(c.query.url + '/echo', { method: 'POST', body: { a: 1 }, headers: { 'x-key': 'k-{{secret:token}}' }, secrets: { authorization: 'token' }, timeout: 2000, retry: 1, redirect: 'follow' });
  const missing = await fetch(c.query.url + '/echo', { secrets: { a: 'absent' } }).catch((error) => error.message);
  return Response.json({ status: answer.status, ok: answer.ok, body: await answer.text(), missing, secrets: [secretStorage.exists('token'), secretStorage.exists('absent'), secretStorage.list()], mcp: typeof mcp.callTool });
}
function who() { return Response.json({ ...auth, currentUser: auth.currentUser(), manage: auth.canManageScript('names'), refused: (() => { try { auth.requireAuth(); } catch (error) { return [error.status, error.message]; } })() }); }
function must(c) { return { auth: auth.requireAuth, editor: auth.requireEditor, admin: auth.requireAdmin }[c.params.what]() && Response.json('in'); }
function query() { return '{}'; }
function init(context) {
  for (const path of ['known', 'web', 'log', 'escaping', 'who']) register('/' + path, path, 'GET');
  register('/shapes/:kind', 'shapes');
  register('/must/{what}', 'must');
  registerHandler('POST', '/request/:id/*rest', request);
  registerHandler('GET', '/request/:id/*rest', request);
  registerHandler('POST', '/upload', 'upload');
  register('/remote', remote);
  registerWebStream('/a/stream');
  registerGraphQLQuery('items', 'type Query { items: [String] }', 'query');
  registerGraphQLMutation('add', 'type Mutation { add: String }', query);
  registerGraphQLSubscription('added', 'type Subscription { added: String }', query);
  registerMCPTool('tool', 'does', { type: 'object' }, query);
  registerMCPResource('app://x', 'x', 'a thing', query);
  registerMCPPrompt('ask', 'asks', [{ name: 'a' }], query);
  registerWebhook('made', 'https://example.org/hook', { secret: 'token' });
  console.log('init', context.scriptName, context.version, typeof context.isStartup);
}
"""


@pytest.fixture
async def names(town: Town) -> Town:
    await town.put("names", STYLE_A)
    return town


@pytest.mark.req("JSAPI-001", "JSAPI-003", "JSAPI-004")
async def test_every_global_of_style_a_is_there(names: Town) -> None:
    kinds = await names.answer("GET", "/known")
    assert {name for name, kind in kinds.items() if kind != "function"} == set()
    assert "init names 1 boolean" in names.lines()
    routes = (await names.host.api("GET", "/names/routes")).json()
    assert [one["operation"] for one in routes["graphql"]] == ["query", "mutation", "subscription"]
    assert [one["kind"] for one in routes["mcp"]] == ["tool", "resource", "prompt"]
    assert routes["webhooks"] == [{"event": "made", "url": "https://example.org/hook", "secret": "token"}]
    assert {"method": "GET", "path": "/a/stream", "kind": "stream", "handler": ""} in routes["routes"]


@pytest.mark.req("JSAPI-006")
async def test_the_web_platform(names: Town) -> None:
    found = await names.answer("GET", "/web")
    assert found["aborted"] == [1, True, "AbortError"]
    assert found["early"] == "AbortError"
    assert found["late"] == "failed"
    assert found["digests"] == [
        hashlib.new(name, b"abc").hexdigest() for name in ("sha1", "sha256", "sha384", "sha512")
    ]
    assert found["noDigest"] == "NotSupportedError"
    assert found["uuid"] is True
    assert found["random"] is True
    assert found["clone"] == [True, True, 5, 2, True, 2, True]
    assert found["noClone"] == "DataCloneError"
    assert found["base64"] == ["aGVsbG8=", "hello"]
    assert found["text"] == "ü€😀"
    assert found["url"] == ["https://h:8443/a/b?x=1#y", ["1", "2"], 0]
    assert found["request"] == ["POST", "b", 1]
    assert found["headers"] == ["1, 2", ["a"]]


@pytest.mark.req("JSAPI-001", "SEC-002")
async def test_the_console_and_escaping(names: Town) -> None:
    assert (await names.client.get("/log")).status_code == 204
    levels = {one["message"]: one["level"] for one in names.host.sink.emitted}
    assert {
        "said { a: [1] }": "info",
        "i": "info",
        "w": "warn",
        "e": "error",
        "d": "debug",
        "old": "info",
    }.items() <= levels.items()
    page = await names.answer("GET", "/escaping")
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;") == 2
    assert "&lt;<b>ok</b>" in page


@pytest.mark.req("HTTP-003", "HTTP-010")
async def test_responses_in_every_shape(names: Town) -> None:
    async def shape(kind: str) -> tuple[int, str, str]:
        answer = await names.client.get(f"/shapes/{kind}")
        return answer.status_code, answer.text, answer.headers.get("content-type", "")

    assert await shape("response") == (201, "r", "text/plain; charset=utf-8")
    assert await shape("object") == (202, "o", "text/x-a")
    assert await shape("base64") == (200, "bytes", "application/x-b")
    assert await shape("promise") == (200, '{"a":1}', "application/json")
    assert await shape("list") == (200, "abc", "text/plain")
    assert await shape("flow") == (200, "xyz", "text/csv")
    assert await shape("data") == (200, '{"plain":true}', "application/json")
    assert await shape("none") == (204, "", "")
    with pytest.raises(Exception, match=r"half way|peer|closed|ended|incomplete"):
        await names.client.get("/shapes/broken")


@pytest.mark.req("HTTP-002")
async def test_requests_in_both_pattern_styles(names: Town) -> None:
    found = await names.answer(
        "POST", "/request/7/a/b?x=1&y=", content='{"z":[1]}', headers={"content-type": "application/json"}
    )
    assert found == {
        "method": "POST", "path": "/request/7/a/b", "httpVersion": found["httpVersion"], "agent": True, "query": {"x": "1", "y": ""},
        "params": {"id": "7", "rest": "a/b"}, "body": '{"z":[1]}', "json": {"z": [1]}, "ip": "string", "id": True, "same": True, "form": {}, "files": [],
    }  # fmt: skip
    assert (await names.client.head("/request/7/x")).status_code == 200
    options = await names.client.options("/request/7/x")
    assert options.status_code == 204
    assert {"GET", "POST", "HEAD"} <= set(options.headers["allow"].split(", "))


@pytest.mark.req("HTTP-008", "ASSET-002")
async def test_uploads_go_to_disk_and_are_read_in_pieces(names: Town) -> None:
    content = b"start" + b"x" * 600_000
    files = {"file": ("a b.bin", content, "application/x-thing")}
    found = await names.answer("POST", "/upload?keep=1", data={"title": "ü"}, files=files)
    assert found["form"] == {"title": "ü"}
    assert (found["count"], found["name"], found["field"]) == (1, "a b.bin", "file")
    assert (found["type"], found["size"], found["pieces"], found["start"]) == (
        "application/x-thing",
        600_005,
        600_005,
        "start",
    )
    assert found["kept"]["sha256"] == hashlib.sha256(content).hexdigest()
    kept = await names.host.api("GET", "/names/assets/uploads/a%20b.bin")
    assert kept.content == content
    bad = await names.client.post(
        "/upload", content=b"--x\r\nnothing", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    assert bad.status_code == 400
    assert (
        await names.client.post("/upload", content=b"", headers={"content-type": "multipart/form-data"})
    ).status_code == 400


@pytest.mark.req("JSAPI-007", "JSAPI-008")
async def test_fetch_with_secrets(names: Town, others: Others) -> None:
    await names.vault.put("token", Secret("s3cret-of-the-names"), scope="app:names")
    found = await names.answer("GET", "/remote", params={"url": others.url})
    assert found["status"] in (200, 404)
    assert "s3cret-of-the-names" not in str(found)
    assert "absent" not in found["missing"]
    assert found["secrets"] == [True, False, ["token"]]
    assert found["mcp"] == "function"


@pytest.mark.req("JSAPI-005")
async def test_who_asks(names: Town) -> None:
    stranger = await names.answer("GET", "/who")
    assert stranger["isAuthenticated"] is False
    assert stranger["currentUser"] is None
    assert stranger["refused"] == [401, "sign in first"]
    assert [
        (await names.client.get(f"/must/{what}")).status_code for what in ("auth", "editor", "admin")
    ] == [401, 401, 401]
