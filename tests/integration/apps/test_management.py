"""Versions, init, privileges and routes, through HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.apps.conftest import Open

from runstead.testing.scenario import AS_OPERATOR, Scenario

GREETING = """
function hello(request) { return { greeting: `hello ${request.params.name}` }; }
function init() { register("/greet/:name", "hello", "GET"); }
"""


@pytest.mark.req("JS-007", "JS-010")
async def test_an_app_is_put_listed_read_changed_and_removed(open_apps: Open) -> None:
    async with open_apps() as host:
        made = await host.put("team/shop".replace("/", "%2F"), GREETING)
        assert made.status_code == 201, made.text
        assert made.json()["routes"] == [
            {"method": "GET", "path": "/greet/:name", "kind": "handler", "handler": "hello"}
        ]
        assert (await host.client.get("/greet/Ada")).json() == {"greeting": "hello Ada"}
        changed = await host.put("team%2Fshop", GREETING.replace("hello $", "good day $"))
        assert (changed.status_code, changed.json()["version"]["version"]) == (200, 2)
        assert (await host.client.get("/greet/Ada")).json() == {"greeting": "good day Ada"}
        found = (await host.api("GET", "/team%2Fshop")).json()
        assert (found["id"], found["serving_version"], "good day" in found["source"]) == (
            "team/shop",
            2,
            True,
        )
        versions = (await host.api("GET", "/team%2Fshop/versions")).json()["versions"]
        assert [(one["version"], one["status"]) for one in versions] == [(2, "ready"), (1, "ready")]
        assert (await host.api("GET", "/team%2Fshop/versions/1")).json()["source"] == GREETING
        assert [app["id"] for app in (await host.api("GET", "")).json()["apps"]] == ["team/shop"]
        assert (await host.api("DELETE", "/team%2Fshop")).status_code == 204
        assert (await host.client.get("/greet/Ada")).status_code == 404
        assert (await host.api("GET", "/team%2Fshop")).status_code == 404


@pytest.mark.req("JS-005")
async def test_a_source_that_does_not_parse_is_refused_with_its_place_and_not_kept(open_apps: Open) -> None:
    async with open_apps() as host:
        refused = await host.put("broken", "const a = 1;\nlet b = ;\n")
        assert refused.status_code == 422
        error = refused.json()["error"]
        assert error["code"] == "E_SYNTAX"
        assert ":2:9" in error["message"]
        assert (await host.api("GET", "/broken")).status_code == 404
        checked = await host.client.post(
            "/api/apps/x/check", content=b"let b = ;", headers={"X-Admin-Token": "test-admin-token"}
        )
        assert checked.status_code == 422


@pytest.mark.req("JS-010")
async def test_a_failing_init_leaves_the_version_before_in_service(open_apps: Open) -> None:
    async with open_apps() as host:
        await host.put("app", GREETING)
        failed = await host.put("app", "function init() {\n  null.x;\n}")
        assert failed.status_code == 422
        error = failed.json()["error"]
        assert error["code"] == "E_APP_INIT"
        assert "TypeError" in error["message"]
        assert error["details"]["stack"] == ["init (app.js:2:3)"]
        assert (await host.client.get("/greet/Ada")).status_code == 200
        found = (await host.api("GET", "/app/versions")).json()["versions"]
        assert [(one["version"], one["status"]) for one in found] == [(2, "failed"), (1, "ready")]
        assert "TypeError" in found[0]["error"]


async def test_a_restricted_app_serves_nothing_until_it_is_privileged(open_apps: Open) -> None:
    async with open_apps() as host:
        made = await host.put("app", GREETING, privileged=None)
        assert "restricted" in made.json()["warning"]
        assert (await host.client.get("/greet/Ada")).status_code == 404
        assert (await host.api("PUT", "/app/privileged", json={"privileged": True})).status_code == 200
        assert (await host.client.get("/greet/Ada")).status_code == 200
        assert (await host.api("PUT", "/app/privileged", json={"privileged": False})).status_code == 200
        assert (await host.client.get("/greet/Ada")).status_code == 404


async def test_a_route_belongs_to_one_app(open_apps: Open) -> None:
    async with open_apps() as host:
        await host.put("first", GREETING)
        refused = await host.put("second", GREETING.replace(":name", "{who}"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "E_ROUTE_CONFLICT")
        assert "first" in refused.json()["error"]["message"]
        assert "second" in refused.json()["error"]["message"]
        assert (await host.client.get("/greet/Ada")).json() == {"greeting": "hello Ada"}


@pytest.mark.parametrize("path", ["/api/x", "/health", "/admin", "/v1/artifacts"])
async def test_the_servers_own_paths_are_not_to_be_had(open_apps: Open, path: str) -> None:
    async with open_apps() as host:
        refused = await host.put("app", f"function f() {{}} function init() {{ register({path!r}, 'f') }}")
        assert refused.status_code == 422
        assert "reserved" in refused.json()["error"]["message"]


async def test_apps_serve_again_after_a_restart(open_apps: Open) -> None:
    async with open_apps() as host:
        await host.put("app", GREETING)
        await host.put("app", "function init() { throw new Error('never') }")
    async with open_apps() as host:
        assert (await host.client.get("/greet/Ada")).json() == {"greeting": "hello Ada"}


async def test_the_shipped_hello_and_a_changed_folder_are_served(open_apps: Open, tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "examples" / "apps"
    own = tmp_path / "apps" / "own"
    own.mkdir(parents=True)
    (own / "app.js").write_text(GREETING)
    folders = (shipped, own.parent, tmp_path / "missing")
    async with open_apps(folders=folders) as host:
        assert (await host.client.get("/hello/Ada")).json() == {"hello": "Ada"}
        page = await host.client.get("/hello/<b>", headers={"Accept": "text/html"})
        assert page.headers["content-type"].startswith("text/html")
        assert "&lt;b&gt;" in page.text
        assert (await host.client.get("/greet/Ada")).status_code == 200
    (own / "app.js").write_text(GREETING.replace("hello", "hi"))
    async with open_apps(folders=folders) as host:
        assert (await host.client.get("/greet/Ada")).json() == {"greeting": "hi Ada"}
        assert (await host.api("GET", "/own")).json()["newest_version"] == 2
        assert (await host.api("GET", "/hello")).json()["newest_version"] == 1


SCENARIOS = [
    Scenario(name="nobody lists", url="/api/apps", status=401, contains=["E_AUTH"]),
    Scenario(name="nobody puts", method="PUT", url="/api/apps/x", content=b"1", status=401),
    Scenario(name="the operator may read", url="/api/apps", headers=AS_OPERATOR, status=200),
    Scenario(
        name="the operator may not put",
        method="PUT",
        url="/api/apps/x",
        content=b"1",
        headers=AS_OPERATOR,
        status=403,
    ),
    Scenario(name="nobody removes", method="DELETE", url="/api/apps/x", status=401),
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_who_may(open_apps: Open, scenario: Scenario) -> None:
    async with open_apps(workers=1) as host:
        await scenario.run(host.client)


@pytest.mark.parametrize(
    ("app_id", "source", "status"),
    [
        ("Upper", "1", 400),
        ("-dash", "1", 400),
        ("a%2F%2Fb", "1", 400),
        ("x" * 129, "1", 400),
        ("app", "", 404),
        ("app", "//" + "x" * (1024 * 1024), 413),
        ("app", "function init() { register('no-slash', 'f') }", 422),
        ("app", "function init() { register('/x', 'not a name') }", 422),
        ("app", "function init() { register('/x', 'f', 'BREW') }", 422),
        ("app", "function init() { while (true) {} }", 422),
    ],
)
async def test_what_cannot_be_put(open_apps: Open, app_id: str, source: str, status: int) -> None:
    async with open_apps(workers=1, script_timeout_ms=200) as host:
        refused = await host.put(app_id, source)
        assert refused.status_code == status, refused.text
        assert refused.json()["error"]["code"].startswith("E_")


async def test_an_earlier_version_serves_again_as_a_new_one(open_apps: Open) -> None:
    async with open_apps() as host:
        for number in (1, 2, 3):
            await host.serve(f"const f = () => 'version {number}';", "GET /f f")
        assert (await host.client.get("/f")).text == "version 3"
        done = await host.api("POST", "/app/rollback", json={"version": 1})
        assert (done.status_code, done.json()["version"]["version"]) == (200, 4)
        assert (await host.client.get("/f")).text == "version 1"
        versions = (await host.api("GET", "/app/versions")).json()["versions"]
        assert [one["version"] for one in versions] == [4, 3, 2, 1]
        assert "version 1" in versions[0]["message"]
        assert versions[0]["sha256"] == versions[3]["sha256"]
        for missing in (9, 2**31 - 1):
            assert (await host.api("POST", "/app/rollback", json={"version": missing})).status_code == 404
        assert (await host.api("POST", "/nothing/rollback", json={"version": 1})).status_code == 404


async def test_the_difference_of_two_versions(open_apps: Open) -> None:
    async with open_apps() as host:
        for word in ("one", "two"):
            await host.serve(f"const f = () => '{word}';\nconst same = 1;", "GET /f f")
        found = (await host.api("GET", "/app/diff", params={"from": 1, "to": 2})).json()
        assert "-const f = () => 'one';" in found["diff"]
        assert "+const f = () => 'two';" in found["diff"]
        assert " const same = 1;" in found["diff"]
        assert (await host.api("GET", "/app/diff", params={"from": 1, "to": 1})).json()["diff"] == ""
        assert (await host.api("GET", "/app/diff", params={"from": 1, "to": 9})).status_code == 404
        assert (await host.api("GET", "/app/diff")).status_code == 400
