# ruff: noqa: E501 - scripts
"""Every name of style B: registries, storages, streams, timers, messages, webhooks, conversions. Through HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.conformance.apps.town import Town, over_a_socket
from tests.integration.egress.test_egress import Others, others

from runstead.capabilities.apps.events.webhooks import signature
from runstead.kernel.secret import Secret

__all__ = ["others"]

STYLE_B = r"""
function known() {
  const seen = {};
  for (const name of ['routeRegistry', 'assetStorage', 'sharedStorage', 'personalStorage', 'secretStorage', 'schedulerService', 'graphQLRegistry', 'mcpRegistry', 'database', 'db', 'dispatcher', 'convert', 'ResponseBuilder', 'engine', 'console', 'auth', 'crypto']) {
    seen[name] = Object.keys(globalThis[name]).sort();
  }
  return ResponseBuilder.json(seen);
}
function built(context) {
  const { kind } = context.request.params;
  return { text: () => ResponseBuilder.text('t', 201), html: () => ResponseBuilder.html('<b>'), error: () => ResponseBuilder.error(418, 'teapot'), none: () => ResponseBuilder.noContent(), redirect: () => ResponseBuilder.redirect('/known') }[kind]();
}
function context(c) { return ResponseBuilder.json({ kind: c.kind, args: c.args, id: c.invocationId === c.request.requestId, method: c.request.method }); }
function storage() {
  sharedStorage.clear();
  sharedStorage.setItem('a', '1');
  const before = sharedStorage.getItem('a');
  sharedStorage.removeItem('a');
  let personal = null;
  try { personalStorage.setItem('a', '1'); } catch (error) { personal = error.message; }
  return ResponseBuilder.json({ before, after: sharedStorage.getItem('a'), personal });
}
function secrets() { const tried = []; for (const act of [() => secretStorage.exists('x'), () => secretStorage.setSecret('x', 'y'), () => secretStorage.removeSecret('x'), () => secretStorage.clear()]) { try { tried.push(act() ?? null); } catch (error) { tried.push(error.message); } } return ResponseBuilder.json(tried); }
function files() {
  assetStorage.upsertAsset('css/main.css', 'text/css', convert.btoa('body { color: red }'));
  const listed = assetStorage.listAssets();
  const content = convert.atob(assetStorage.fetchAsset('css/main.css'));
  const gone = [assetStorage.deleteAsset('nothing.txt'), assetStorage.fetchAsset('nothing.txt')];
  return ResponseBuilder.json({ listed, content, gone });
}
function converted() {
  return ResponseBuilder.json([
    convert.markdown_to_html('# *Hi* <script>\n\n|a|b|\n|-|-|\n|1|~~2~~|'),
    convert.render_handlebars_template('{{#each items}}{{@index}}:{{name}}{{#unless @last}}, {{/unless}}{{else}}none{{/each}} {{{raw}}} {{esc}} {{#if no}}a{{else}}b{{/if}} {{#with o}}{{x}}{{../esc}}{{/with}}', JSON.stringify({ items: [{ name: 'A' }, { name: 'B' }], raw: '<b>', esc: '<i>', o: { x: 1 } })),
    (() => { try { return convert.render_handlebars_template('{{#each}}', '{'); } catch (error) { return `refused: ${error.message}`; } })(),
  ]);
}
function old(c) { return ResponseBuilder.json({ typed: typeof engine.fetchSync(c.request.query.url + '/x'), answer: JSON.parse(engine.fetchSync(c.request.query.url + '/x', JSON.stringify({ method: 'GET' }))) }); }
function graphql() { return ResponseBuilder.json(JSON.parse(graphQLRegistry.executeGraphQL('{ items }', '{}'))); }
function resolver() { return '[]'; }

function publish(c) {
  const { path, data, filter, mode } = JSON.parse(c.request.body);
  const sent = filter ? routeRegistry.sendStreamMessageFiltered(path, JSON.stringify(data), JSON.stringify(filter), mode ?? 'subset') : routeRegistry.sendStreamMessage(path, JSON.stringify(data));
  return ResponseBuilder.json({ sent });
}
function customize(c) {
  if (c.request.query.no) return ResponseBuilder.error(403, 'not you');
  return { room: c.request.params.room, role: c.request.query.role ?? 'guest' };
}

function note(c) { const seen = JSON.parse(sharedStorage.getItem(c.kind) ?? '[]'); seen.push(c.args); sharedStorage.setItem(c.kind, JSON.stringify(seen)); }
function heard(c) { note(c); console.log(`heard ${c.message.type} ${JSON.stringify(c.message.data)} of ${c.message.sender}`); }
function loops(c) { dispatcher.sendMessage('loop', { n: c.message.data.n + 1 }); sharedStorage.setItem('loops', String(c.message.data.n)); }
function send(c) { return ResponseBuilder.json({ listeners: dispatcher.sendMessage(c.request.query.type, JSON.stringify({ n: 0, made: 'x' })) }); }
function recall(c) { return ResponseBuilder.json(JSON.parse(sharedStorage.getItem(c.request.params.name) ?? 'null')); }
function ticked(c) { note(c); }
function once(c) { note(c); console.log('once ' + c.args.name); }
function fails() { throw new Error('timer failed'); }
function plan(c) {
  schedulerService.registerOnce({ handler: 'once', runAt: new Date(Date.now() + 20), name: 'planned' });
  schedulerService.registerRecurring({ handler: 'ticked', intervalMinutes: 60, name: 'hourly', startAt: new Date(Date.now() + 3600000).toISOString() });
  const refused = [];
  for (const bad of [{ handler: 'x', intervalMilliseconds: 5 }, { handler: 'x', runAt: 'never' }, { handler: 'x' }]) { try { schedulerService.registerRecurring(bad); refused.push(null); } catch (error) { refused.push(error.message); } }
  return ResponseBuilder.json(refused);
}
function unplan() { schedulerService.clearAll(); return ResponseBuilder.noContent(); }

function init(context) {
  for (const name of ['known', 'context', 'storage', 'secrets', 'files', 'converted', 'old', 'graphql', 'send', 'plan', 'unplan']) routeRegistry.registerRoute('/' + name, name, 'GET', { summary: 'The ' + name });
  routeRegistry.registerRoute('/built/:kind', 'built', 'GET');
  routeRegistry.registerRoute('/recall/:name', 'recall', 'GET');
  routeRegistry.registerRoute('/publish', 'publish', 'POST');
  routeRegistry.registerStreamRoute('/open', null, { summary: 'Everything' });
  routeRegistry.registerStreamRoute('/rooms/:room', 'customize');
  routeRegistry.registerAssetRoute('/style.css', 'css/main.css');
  routeRegistry.registerAssetRoute('/static/*rest', 'css/');
  graphQLRegistry.registerQuery('items', 'type Query { items: [String] }', 'resolver', 'external');
  graphQLRegistry.registerMutation('add', 'type Mutation { add: String }', 'resolver', 'engine');
  graphQLRegistry.registerSubscription('added', 'type Subscription { added: String }', 'resolver', 'internal');
  mcpRegistry.registerTool('tool', 'does', '{"type":"object"}', 'resolver');
  mcpRegistry.registerPrompt('prompt', 'asks', '[]', 'resolver');
  dispatcher.registerListener('made', 'heard');
  dispatcher.registerListener('loop', 'loops');
  schedulerService.registerRecurring({ handler: 'ticked', intervalMilliseconds: 100, name: 'tick' });
  schedulerService.registerRecurring({ handler: 'fails', intervalMilliseconds: 200, name: 'failing' });
  schedulerService.registerOnce({ handler: 'once', runAt: new Date(Date.now() + 10), name: 'early' });
}
"""

METHODS = {
    "routeRegistry": "registerRoute registerStreamRoute registerAssetRoute sendStreamMessage sendStreamMessageFiltered",
    "assetStorage": "listAssets fetchAsset upsertAsset deleteAsset",
    "sharedStorage": "getItem setItem removeItem clear",
    "personalStorage": "getItem setItem removeItem clear",
    "secretStorage": "exists list setSecret removeSecret clear",
    "schedulerService": "registerOnce registerRecurring clearAll",
    "graphQLRegistry": "registerQuery registerMutation registerSubscription executeGraphQL sendSubscriptionMessage sendSubscriptionMessageFiltered",
    "mcpRegistry": "registerTool registerPrompt",
    "database": "createTable dropTable addIntegerColumn addTextColumn addBooleanColumn addTimestampColumn addReferenceColumn dropColumn query insert update delete upsert deleteWhere addUniqueIndex createLeaseTable acquireLease generateGraphQLForTable beginTransaction commitTransaction rollbackTransaction createSavepoint rollbackToSavepoint releaseSavepoint",
    "db": "query execute transaction migrate updateVersioned",
    "dispatcher": "registerListener sendMessage",
    "convert": "markdown_to_html render_handlebars_template btoa atob",
    "ResponseBuilder": "json text html error noContent redirect",
    "engine": "fetchSync",
    "console": "log info warn error debug",
    "auth": "isAuthenticated userId userEmail userName provider role isEditor isAdmin groups currentUser requireAuth requireEditor requireAdmin canManageScript",
    "crypto": "randomUUID getRandomValues subtle",
}


@pytest.fixture
async def town_b(town: Town) -> Town:
    await town.put("b", STYLE_B)
    return town


@pytest.mark.req("JSAPI-003", "JSAPI-004", "JSAPI-010")
async def test_every_registry_has_its_calls(town_b: Town) -> None:
    known = await town_b.answer("GET", "/known")
    missing = {name: set(calls.split()) - set(known[name]) for name, calls in METHODS.items()}
    assert {name: calls for name, calls in missing.items() if calls} == {}
    assert await town_b.answer("GET", "/context") == {
        "kind": "httpRoute",
        "args": {},
        "id": True,
        "method": "GET",
    }
    routes = (await town_b.host.api("GET", "/b/routes")).json()
    assert [one["visibility"] for one in routes["graphql"]] == ["external", "engine", "internal"]
    assert routes["mcp"][0]["schema"] == {"type": "object"}
    assert routes["listeners"] == {"made": ["heard"], "loop": ["loops"]}
    openapi = (await town_b.client.get("/openapi.json")).json()
    assert openapi["paths"]["/known"]["get"]["summary"] == "The known"
    assert "errors" in await town_b.answer("GET", "/graphql")


async def test_responses_are_built(town_b: Town) -> None:
    answers = [
        await town_b.client.get(f"/built/{kind}", follow_redirects=False)
        for kind in ("text", "html", "error", "none", "redirect")
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 418, 204, 302]
    assert answers[1].headers["content-type"] == "text/html; charset=utf-8"
    assert answers[2].json() == {"error": "teapot"}
    assert answers[4].headers["location"] == "/known"


async def test_storages_and_secrets(town_b: Town) -> None:
    found = await town_b.answer("GET", "/storage")
    assert (found["before"], found["after"]) == ("1", None)
    assert "nobody is signed in" in found["personal"]
    tried = await town_b.answer("GET", "/secrets")
    assert tried[0] is False
    assert all("nobody is signed in" in text for text in tried[1:])


@pytest.mark.req("ASSET-001", "ASSET-003")
async def test_files_of_the_app(town_b: Town) -> None:
    found = await town_b.answer("GET", "/files")
    assert found == {"listed": ["css/main.css"], "content": "body { color: red }", "gone": [False, None]}
    answer = await town_b.client.get("/style.css")
    assert answer.text == "body { color: red }"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    again = await town_b.client.get("/style.css", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = await town_b.client.get("/static/main.css", headers={"range": "bytes=0-3"})
    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "body", "bytes 0-3/19")
    tail = await town_b.client.get("/static/main.css", headers={"range": "bytes=-4"})
    assert tail.text == "ed }" or tail.text.endswith("}")
    assert (await town_b.client.get("/static/main.css", headers={"range": "bytes=99-"})).status_code == 416
    assert (await town_b.client.get("/static/none.css")).status_code == 404
    assert (await town_b.client.get("/static/..%2F..%2Fapp.js")).status_code in (400, 404)


async def test_conversions(town_b: Town) -> None:
    markdown, handlebars, refused = await town_b.answer("GET", "/converted")
    assert "<h1><em>Hi</em> &lt;script&gt;</h1>" in markdown
    assert "<s>2</s>" in markdown
    assert handlebars == "0:A, 1:B <b> &lt;i&gt; b 1&lt;i&gt;"
    assert refused.startswith("refused: ")


async def test_old_apps_fetch_without_waiting(town_b: Town, others: Others) -> None:
    found = await town_b.answer("GET", "/old", params={"url": others.url})
    assert found["typed"] == "string"
    assert {"status", "ok", "headers", "body"} <= set(found["answer"])
    await town_b.put(
        "sync",
        '// { "fetch": "sync" }\nfunction go(c) { return ResponseBuilder.json({ kind: typeof fetch(c.request.query.url + "/x") }); }\n'
        "function init() { register('/sync', 'go'); }",
    )
    assert await town_b.answer("GET", "/sync", params={"url": others.url}) == {"kind": "string"}


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, path: str, **headers: str
) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    async with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()

        async def events() -> AsyncIterator[dict[str, str]]:
            event: dict[str, str] = {}
            async for line in lines:
                if not line:
                    if "data" in event:
                        yield event
                    event = {}
                elif not line.startswith(":"):
                    name, _, value = line.partition(":")
                    event[name] = value.removeprefix(" ")

        # The first piece comes when the connection listens.
        await anext(lines)
        yield events()


async def publish(town: Town, path: str, data: Any, **options: Any) -> int:
    sent: int = (
        await town.answer("POST", "/publish", content=json.dumps({"path": path, "data": data, **options}))
    )["sent"]
    return sent


async def listeners(town: Town, path: str, count: int) -> None:
    async with asyncio.timeout(10):
        while True:
            found = (await town.host.api("GET", "/b/streams")).json()["streams"]
            if sum(one["connections"] for one in found if one["path"] == path) == count:
                return
            await asyncio.sleep(0.01)


@pytest.mark.req("RT-001", "RT-002", "JSAPI-002")
async def test_streams_are_replayed_filtered_and_customized(town_b: Town) -> None:
    async with over_a_socket(town_b) as client:
        await _streams(town_b, client)


async def _streams(town_b: Town, client: httpx.AsyncClient) -> None:
    async with listening(client, "/open") as first:
        await listeners(town_b, "/open", 1)
        assert await publish(town_b, "/open", {"n": 1}) == 1
        assert await publish(town_b, "/open", {"n": 2}) == 1
        events = [await anext(first), await anext(first)]
    assert [json.loads(event["data"])["n"] for event in events] == [1, 2]
    await listeners(town_b, "/open", 0)
    assert await publish(town_b, "/open", {"n": 3}) == 0
    async with listening(client, "/open", **{"last-event-id": events[0]["id"]}) as again:
        missed = [await anext(again), await anext(again)]
    assert [json.loads(event["data"])["n"] for event in missed] == [2, 3], "what came while nobody listened"
    async with listening(client, "/open", **{"last-event-id": "000000000000.7"}) as stranger:
        assert (await anext(stranger))["event"] == "missed"

    async with (
        listening(client, "/rooms/red?role=admin") as admin,
        listening(client, "/rooms/red") as guest,
        listening(client, "/rooms/blue") as other,
    ):
        await listeners(town_b, "/rooms/red", 2)
        await listeners(town_b, "/rooms/blue", 1)
        assert await publish(town_b, "/rooms/red", "all") == 2
        assert await publish(town_b, "/rooms/red", "admins", filter={"role": "admin"}) == 1
        assert (
            await publish(
                town_b, "/rooms/red", "overlap", filter={"role": "guest", "floor": 1}, mode="overlap"
            )
            == 1
        )
        assert await publish(town_b, "/rooms/red", "nobody", filter={"role": "guest", "floor": 1}) == 0
        assert await publish(town_b, "/rooms/blue", "blue") == 1
        assert [json.loads((await anext(admin))["data"]) for _ in range(2)] == ["all", "admins"]
        assert [json.loads((await anext(guest))["data"]) for _ in range(2)] == ["all", "overlap"]
        assert json.loads((await anext(other))["data"]) == "blue"
    refused = await client.get("/rooms/red?no=1")
    assert (refused.status_code, refused.json()) == (403, {"error": "not you"})
    answer = await town_b.client.post(
        "/publish", content=json.dumps({"path": "/open", "data": 1, "filter": {}, "mode": "odd"})
    )
    assert answer.status_code == 500


async def test_timers_run_survive_and_end(town_b: Town) -> None:
    await town_b.until(lambda: "once early" in town_b.lines())
    async with asyncio.timeout(15):
        while len(await town_b.answer("GET", "/recall/timer") or []) < 5:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    await town_b.until(lambda: any("timer failed" in line for line in town_b.lines("error")))
    refused = await town_b.answer("GET", "/plan")
    assert ["milliseconds" in (text or "") for text in refused] == [True, False, False]
    assert all(refused)
    await town_b.until(lambda: "once planned" in town_b.lines())
    listed = {one["name"]: one for one in (await town_b.host.api("GET", "/b/timers")).json()["timers"]}
    assert {"tick", "failing", "hourly"} <= set(listed)
    assert listed["tick"]["runs"] >= 2
    assert "failed" in (listed["failing"]["last_error"] or "")
    assert listed["hourly"]["runs"] == 0
    # The next version says what there is; what handlers set stays.
    await town_b.put("b", STYLE_B.replace("name: 'tick'", "name: 'tock'"))
    listed = {one["name"]: one for one in (await town_b.host.api("GET", "/b/timers")).json()["timers"]}
    assert "tick" not in listed
    assert {"tock", "hourly"} <= set(listed)
    assert (await town_b.client.get("/unplan")).status_code == 204
    assert (await town_b.host.api("GET", "/b/timers")).json()["timers"] == []


async def test_messages_reach_every_listener_and_do_not_loop(town_b: Town) -> None:
    await town_b.put(
        "friend",
        "function hears(c) { console.log('friend heard ' + c.message.data.made); } function init() { dispatcher.registerListener('made', hears); }",
        privileged=None,
    )
    assert await town_b.answer("GET", "/send?type=made") == {"listeners": 2}
    await town_b.until(lambda: "friend heard x" in town_b.lines())
    await town_b.until(lambda: 'heard made {"n":0,"made":"x"} of b' in town_b.lines())
    assert await town_b.answer("GET", "/send?type=nobody") == {"listeners": 0}
    assert await town_b.answer("GET", "/send?type=loop") == {"listeners": 1}
    await town_b.until(lambda: any("this is a loop" in line for line in town_b.lines("error")))


@pytest.mark.req("JSAPI-011")
async def test_webhooks_are_signed_and_tried_again(town_b: Town, others: Others) -> None:
    await town_b.vault.put("hook-key", Secret("key-of-the-hook"), scope="app:relay")
    await town_b.put(
        "relay",
        f"function init() {{ registerWebhook('made', '{others.url}/hook', {{ secret: 'hook-key', headers: {{ 'x-own': '1' }} }});"
        f" registerWebhook('made', 'http://127.0.0.1:1/', {{}}); }}",
    )
    await town_b.answer("GET", "/send?type=made")

    async def listed() -> dict[str, dict[str, Any]]:
        found = (await town_b.host.api("GET", "/relay/deliveries")).json()["deliveries"]
        return {one["url"].rsplit("/", 1)[1]: one for one in found}

    async with asyncio.timeout(15):
        while (await listed())[""]["status"] != "failed" or (await listed())["hook"]["status"] == "pending":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    found = await listed()
    assert found[""]["attempts"] == 3, "the first and two more"
    _, _, headers, body = next(one for one in others.asked if one[1] == "/hook")
    assert headers["x-own"] == "1"
    assert headers["x-runstead-signature"] == signature(
        "key-of-the-hook", headers["x-runstead-timestamp"], body.decode()
    )
    assert json.loads(body)["data"] == {"n": 0, "made": "x"}
    assert "key-of-the-hook" not in json.dumps(found)
