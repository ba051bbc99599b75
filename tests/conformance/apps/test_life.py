# ruff: noqa: E501 - scripts
"""The life of an app: TypeScript, JSX and modules, checks, evaluations, tests, logs, versions, races between authors, folders that change."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conformance.apps.town import Town, open_town, over_a_socket

from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database
from runstead.testing.scenario import AS_ADMINISTRATOR

MAIN = """import { Page } from "./views/page";
import { total, type Item } from "./lib/sums.js";
import texts from "./texts.json";

enum Kind { Small = 1, Large }

interface Query {
  n: string;
}

function page(context: any): any {
  const query: Query = context.request.query;
  const items: Item[] = [{ amount: Number(query.n) }, { amount: Kind.Large }];
  return <Page title={texts.title}><b>{total(items)}</b><i class="x">{"<&>"}</i></Page>;
}

const fails = (context: any): never => {
  // A comment that the transpiler drops.
  return total(null as unknown as Item[]) as never;
};

export function init(): void {
  register("/page", page);
  register("/fails", "fails");
}
"""
FILES = {
    "app.tsx": MAIN,
    "views/page.tsx": 'export const Page = ({ title, children }: { title: string; children?: any }) => <><h1 id="t">{title}</h1>{children}<br/></>;\n',
    "lib/sums.ts": "export type Item = { amount: number };\n\n// Adds.\nexport function total(items: Item[]): number {\n  if (items === null) {\n    throw new TypeError('no items');\n  }\n  return items.reduce((sum, item) => sum + item.amount, 0);\n}\n",
    "texts.json": '{"title": "Sums"}',
    "lib/sums.test.ts": """import { total } from "./sums";
describe("total", () => {
  beforeEach(() => { sharedStorage.setItem("touched", "by a test"); });
  it("adds", () => { expect(total([{ amount: 1 }, { amount: 2 }])).toBe(3); });
  it("fails on purpose", () => { expect([1, { a: 2 }]).toEqual([1, { a: 3 }]); });
  test("throws", () => { expect(() => total(null as any)).toThrow("no items"); assert.throws(() => total(null as any), TypeError); });
  it("waits", async () => { await expect(Promise.resolve(4)).resolves.toBeGreaterThan(3); await expect(Promise.reject(new Error("x"))).rejects.toThrow("x"); });
  it("has handlers", () => { expect(String(page({ request: { query: { n: "1" } } }))).toContain("<h1"); });
});
""",
}


async def put_files(town: Town, app_id: str, files: dict[str, str], **params: str) -> httpx.Response:
    form = [("file", (name, text.encode(), "text/plain")) for name, text in files.items()]
    return await town.client.put(
        f"/api/apps/{app_id}",
        params={"privileged": "true", **params},
        files=form,
        headers=dict(AS_ADMINISTRATOR),
    )


async def api(town: Town, method: str, path: str, **options: Any) -> Any:
    answer = await town.host.api(method, path, **options)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


@pytest.mark.req("DEV-004", "TEST-006")
async def test_typescript_jsx_and_modules(town: Town) -> None:
    made = await put_files(town, "sums", FILES)
    assert made.status_code == 201, made.text
    assert made.json()["version"]["main"] == "app.tsx"
    assert (
        await town.answer("GET", "/page?n=3")
        == '<h1 id="t">Sums</h1><b>5</b><i class="x">&lt;&amp;&gt;</i><br>'
    )
    failed = await town.client.get("/fails")
    stack = failed.json()["error"]["details"]["stack"]
    assert "lib/sums.ts:6:" in stack[0], stack
    assert "app.tsx:19:" in stack[1], "the author's lines, not the transpiler's"
    results = await api(town, "POST", "/sums/test")
    assert (results["passed"], results["failed"]) == (4, 1), results
    (failed_one,) = [one for one in results["results"] if one["status"] == "failed"]
    assert failed_one["name"] == "total > fails on purpose"
    assert "to equal" in failed_one["error"]
    evaluated = await api(town, "POST", "/sums/eval", json={"code": "sharedStorage.getItem('touched')"})
    assert evaluated["value"] == "null", "what tests change is undone"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"app.ts": "const x: = 5;"}, "app.ts:1:10"),
        ({"app.js": "import { a } from './gone.js'; function init() {}"}, "gone.js"),
        ({"app.js": "import 'fs'; function init() {}"}, "'fs'"),
        ({"app.js": "import { a } from '../../other/app.js'; function init() {}"}, "other"),
        ({"app.js": "export function init( {}"}, "app.js:"),
        (
            {"app.js": "import { a } from './b.js'; export function init() {}", "b.js": "export const x = ;"},
            "b.js:1",
        ),
        ({"other.js": "x"}, "one of the files has to be the source"),
        ({"app.js": "function init() { register('/x', () => 1); }"}, "no name of a function"),
    ],
)
async def test_what_cannot_be_built_is_refused_with_its_place(
    town: Town, files: dict[str, str], said: str
) -> None:
    refused = await put_files(town, "broken", files)
    assert refused.status_code in (400, 422), refused.text
    assert said in refused.text
    assert "/tmp" not in refused.text


@pytest.mark.req("DEV-003")
async def test_a_source_is_checked_without_staying(town: Town) -> None:
    source = "function go() {} function init() { sharedStorage.setItem('a', 'b'); register('/go', 'go'); schedulerService.registerRecurring({ handler: 'go', intervalMinutes: 5 }); }"
    checked = await api(town, "POST", "/new/check", content=source)
    assert checked["routes"] == [{"method": "GET", "path": "/go", "kind": "handler", "handler": "go"}]
    assert checked["timers"] == [{"name": "go", "handler": "go", "every_ms": 300_000}]
    assert (await town.host.api("GET", "/new")).status_code == 404
    assert (await town.client.get("/go")).status_code == 404
    thrown = await town.host.api(
        "POST", "/new/check", content="function init() { throw new Error('in init'); }"
    )
    assert (thrown.status_code, "in init" in thrown.text) == (422, True)
    typed = await town.host.client.post(
        "/api/apps/new/check",
        content="const a: number = 1; function init(): void {}",
        headers={**AS_ADMINISTRATOR, "content-type": "text/typescript"},
    )
    assert typed.status_code == 200, typed.text
    await town.put("taken", "function go() {} function init() { register('/go', 'go'); }")
    conflict = await town.host.api("POST", "/new/check", content=source)
    assert conflict.status_code == 409


async def test_evaluations_change_nothing(town: Town) -> None:
    await town.put(
        "calc",
        "const base = 40; function add(n) { return base + n; } function init() { register('/add', 'add'); JSON.parse(database.createTable('t')); }",
    )
    assert (await api(town, "POST", "/calc/eval", json={"code": "add(2)"}))["value"] == "42"
    assert (
        await api(
            town,
            "POST",
            "/calc/eval",
            json={"code": "const x = await Promise.resolve([1]); console.log('seen'); return { x };"},
        )
    ) == {
        **(
            done := await api(
                town,
                "POST",
                "/calc/eval",
                json={"code": "const x = await Promise.resolve([1]); console.log('seen'); return { x };"},
            )
        ),
        "value": "{ x: [1] }",
        "console": [{"level": "info", "message": "seen"}],
        "ms": pytest.approx(done["ms"], abs=1000),
    }
    code = "sharedStorage.setItem('k', 'v'); database.insert('t', '{}'); return [sharedStorage.getItem('k'), JSON.parse(database.query('t')).length]"
    assert (await api(town, "POST", "/calc/eval", json={"code": code}))["value"] == '["v", 1]'
    assert (
        await api(
            town,
            "POST",
            "/calc/eval",
            json={"code": "[sharedStorage.getItem('k'), JSON.parse(database.query('t')).length]"},
        )
    )["value"] == "[null, 0]"
    refused = await api(town, "POST", "/calc/eval", json={"code": "dispatcher.sendMessage('x', 1)"})
    assert (refused["ok"], "dry run" in refused["error"]) == (False, True)
    assert (await api(town, "POST", "/calc/eval", json={"code": "}{"}))["ok"] is False
    assert (await town.host.api("POST", "/none/eval", json={"code": "1"})).status_code in (403, 404)


@pytest.mark.req("DATA-006")
async def test_two_authors_do_not_overwrite_each_other(town: Town) -> None:
    first = "function init() {} // first"
    await town.put("race", first)
    tag = (await town.host.api("GET", "/race")).headers["etag"]
    ours = {**AS_ADMINISTRATOR, "if-match": tag}
    assert (
        await town.client.put("/api/apps/race", content="function init() {} // second", headers=ours)
    ).status_code == 200
    late = await town.client.put("/api/apps/race", content="function init() {} // third", headers=ours)
    assert late.status_code == 412
    details = late.json()["error"]["details"]
    assert details["expected"]["source"] == first
    assert details["current"]["source"].endswith("// second")
    assert (
        await town.client.put("/api/apps/race", content="x", headers={**ours, "if-match": "x"})
    ).status_code == 400
    tagged = await town.client.put(
        "/api/apps/race",
        params={"tag": ["v1", "stable"]},
        content="function init() {}",
        headers=dict(AS_ADMINISTRATOR),
    )
    assert tagged.json()["version"]["tags"] == ["v1", "stable"]


@pytest.mark.req("DATA-005")
async def test_a_rollback_brings_the_files_back(town: Town) -> None:
    await put_files(
        town,
        "files",
        {
            "app.js": "import { v } from './v.js'; function go() { return String(v); } export function init() { register('/v', 'go'); }",
            "v.js": "export const v = 1;",
        },
    )
    await put_files(
        town,
        "files",
        {
            "app.js": "import { v } from './v.js'; function go() { return String(v); } export function init() { register('/v', 'go'); }",
            "v.js": "export const v = 2;",
        },
    )
    assert await town.answer("GET", "/v") == "2"
    await api(town, "POST", "/files/rollback", json={"version": 1})
    assert await town.answer("GET", "/v") == "1"
    versions = (await api(town, "GET", "/files/assets/v.js?versions=true"))["versions"]
    assert [one["version"] for one in versions] == [3, 2, 1]
    assert (await town.host.api("DELETE", "/files/assets/v.js")).status_code == 204
    assert (await town.host.api("GET", "/files/assets/v.js")).status_code == 404
    assert await town.answer("GET", "/v") == "1", "what serves was built with it"


async def test_lines_of_a_request_are_found_and_followed(town: Town) -> None:
    await town.put(
        "talks",
        "function say(c) { console.log('said ' + c.query.n); return null; } function init() { register('/say', 'say'); }",
    )
    answer = await town.client.get("/say?n=1", headers={"x-request-id": "wanted-request-1"})
    await town.client.get("/say?n=2")
    request_id = answer.headers["x-request-id"]
    lines = (await api(town, "GET", f"/talks/logs?request_id={request_id}"))["lines"]
    assert [one["message"] for one in lines] == ["said 1"]
    async with over_a_socket(town) as client:
        headers = {**AS_ADMINISTRATOR, "accept": "text/event-stream"}
        async with client.stream("GET", "/api/apps/talks/logs", headers=headers) as live:
            seen = []
            async for line in live.aiter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line[6:])["message"])
                    if len(seen) == 2:
                        asyncio.get_running_loop().create_task(town.client.get("/say?n=3"))
                    if len(seen) == 3:
                        break
    assert seen == ["said 1", "said 2", "said 3"]


@pytest.mark.req("DEV-002")
async def test_a_folder_is_loaded_again_file_by_file(
    database: Database, database_url: str, tmp_path: Path, pool: ScriptPool
) -> None:
    folder = tmp_path / "apps" / "live"
    folder.mkdir(parents=True)
    (folder / "app.js").write_text(
        "import { v } from './v.js'; function go() { return v; } export function init() { register('/live', 'go'); registerAsset(); } function registerAsset() { routeRegistry.registerAssetRoute('/live.txt', 'note.txt'); }"
    )
    (folder / "v.js").write_text("export const v = 'one';")
    (folder / "note.txt").write_text("first")
    async with open_town(database, database_url, tmp_path, pool, folders=[str(tmp_path / "apps")]) as town:
        assert await town.answer("GET", "/live") == "one"
        assert await town.answer("GET", "/live.txt") == "first"

        async def becomes(path: str, text: str) -> None:
            async with asyncio.timeout(15):
                while (await town.client.get(path)).text != text:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)

        (folder / "v.js").write_text("export const v = 'two';")
        await becomes("/live", "two")
        (folder / "v.js").write_text("export const v = ;")
        await asyncio.sleep(0.2)
        assert await town.answer("GET", "/live") == "two", "what fails does not replace what serves"
        (folder / "v.js").write_text("export const v = 'three';")
        (folder / "note.txt").write_text("second")
        await becomes("/live", "three")
        await becomes("/live.txt", "second")


async def test_an_app_says_what_it_needs_below_the_ceiling(
    database: Database, database_url: str, tmp_path: Path, pool: ScriptPool
) -> None:
    ceiling = {"script_timeout_ms": 1500, "request_timeout_ms": 2000, "heap_bytes": 2**25}
    async with open_town(
        database, database_url, tmp_path, pool, script_timeout_ms=200, ceiling=ceiling
    ) as town:
        source = (
            "function spin(c) { const until = Date.now() + Number(c.query.ms); while (Date.now() < until); return 'spun'; }"
            "function init() { register('/spin', 'spin'); }"
        )
        manifest = {
            "limits": {"script_timeout_ms": 60_000, "request_timeout_ms": 60_000, "heap_bytes": 2**26},
            "fetch": "sync",
        }
        made = await put_files(town, "slow", {"app.js": source, "app.json": json.dumps(manifest)})
        assert made.status_code == 201, made.text
        assert await town.answer("GET", "/spin?ms=500") == "spun"
        late = await town.client.get("/spin?ms=1900")
        assert late.json()["error"]["code"] == "E_SCRIPT_TIMEOUT"
        await town.put("slow", source)
        assert await town.answer("GET", "/spin?ms=500") == "spun", (
            "a source alone keeps what the app says of itself"
        )
        await put_files(town, "slow", {"app.js": source, "app.json": "{}"})
        assert (await town.client.get("/spin?ms=500")).status_code == 504
        for wrong in ('{"limits": {"heap_bytes": 1}}', '{"unknown": 1}', "[]", "{"):
            refused = await put_files(town, "slow", {"app.js": source, "app.json": wrong})
            assert refused.status_code == 422, refused.text
            assert "app.json" in refused.text
