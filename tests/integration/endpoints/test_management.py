"""Looking at endpoints and their runs from outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.integration.endpoints.conftest import declare, python, shell, world

from runstead.testing.scenario import AS_ADMINISTRATOR, AS_OPERATOR

ADMINISTRATOR = dict(AS_ADMINISTRATOR)
#: The id of a run that never was.
NO_RUN = "0195a3c0-0000-7000-8000-000000000000"

LEAVES = """
import os, pathlib
folder = pathlib.Path(os.environ["RUNSTEAD_ARTIFACTS"])
(folder / "sub").mkdir()
(folder / "sub/a b.txt").write_text("text")
(folder / "page.html").write_text("<script>alert(1)</script>")
(folder / "link").symlink_to("/etc/passwd")
print('{"results": [1]}')
"""


@pytest.mark.parametrize(
    "path",
    [
        "/api/endpoints",
        "/api/endpoints/schema",
        "/api/endpoints/a/runs",
        f"/api/endpoints/a/runs/{NO_RUN}",
        f"/api/endpoints/a/runs/{NO_RUN}/artifacts",
        f"/api/endpoints/a/runs/{NO_RUN}/artifacts/x",
        f"/api/endpoints/a/runs/{NO_RUN}/stdout",
    ],
)
async def test_nothing_of_a_run_is_shown_without_a_credential_even_where_calls_are_open(
    tmp_path: Path, path: str
) -> None:
    async with world(tmp_path, [declare(shell(tmp_path, "echo '{}'"))]) as served:
        response = await served.client.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "E_AUTH")


async def test_the_overview_counts_calls_and_failures(tmp_path: Path) -> None:
    declared = [
        declare(shell(tmp_path, "echo '{}'")),
        declare(shell(tmp_path, "exit 1", "b.sh"), "b", enabled=False),
    ]
    async with world(tmp_path, declared, open_door=False, headers=AS_OPERATOR) as served:
        assert (await served.client.post("/a")).status_code == 200
        assert (await served.client.post("/a", json={"x": 1})).status_code == 400
        assert (await served.client.post("/a", headers={"X-Master-Password": "wrong"})).status_code == 401
        assert (await served.client.post("/api/endpoints/b/try")).status_code == 502
        a, b = (await served.client.get("/api/endpoints")).json()["endpoints"]
    assert (a["name"], a["method"], a["path"], a["enabled"]) == ("a", "POST", "/a", True)
    assert (a["calls"], a["failures"]) == (3, {"E_BAD_REQUEST": 1, "E_AUTH": 1})
    assert a["last_run"]["status"] == "succeeded"
    assert 0 < a["p50_ms"] <= a["p99_ms"]
    assert (b["enabled"], b["calls"], b["failures"]) == (False, 1, {"E_SCRIPT_EXIT": 1})


async def test_runs_are_paged_newest_first_and_each_can_be_read(tmp_path: Path) -> None:
    script = shell(tmp_path, "echo '{}'")
    async with world(tmp_path, [declare(script)], headers=ADMINISTRATOR) as served:
        ids = [(await served.client.post("/a", json={"params": {"n": n}})).json()["run_id"] for n in range(5)]
        first = (await served.client.get("/api/endpoints/a/runs?limit=3")).json()
        second = (
            await served.client.get(f"/api/endpoints/a/runs?limit=3&cursor={first['next_cursor']}")
        ).json()
        one = (await served.client.get(f"/api/endpoints/a/runs/{ids[2]}")).json()
        statuses = [
            (await served.client.get(f"/api/endpoints/{path}")).status_code
            for path in (
                "a/runs?limit=0",
                "a/runs?limit=1001",
                "a/runs?cursor=x",
                "b/runs",
                "a/runs/x",
                f"b/runs/{ids[0]}",
            )
        ]
    assert [run["run_id"] for run in first["runs"] + second["runs"]] == ids[::-1]
    assert second["next_cursor"] is None
    assert (one["run_id"], one["status"], one["request"]["params"]) == (ids[2], "succeeded", {"n": 2})
    assert statuses == [400, 400, 404, 200, 404, 404]


async def test_what_a_run_left_is_listed_and_fetched_without_harm(tmp_path: Path) -> None:
    async with world(tmp_path, [declare(python(tmp_path, LEAVES))], headers=ADMINISTRATOR) as served:
        run_id = (await served.client.post("/a")).json()["run_id"]
        base = f"/api/endpoints/a/runs/{run_id}"
        listed = (await served.client.get(f"{base}/artifacts")).json()["artifacts"]
        assert [(each["path"], each["size"], each["content_type"]) for each in listed] == [
            ("page.html", 25, "application/octet-stream"),
            ("sub/a b.txt", 4, "text/plain; charset=utf-8"),
        ]
        page = await served.client.get(f"{base}/artifacts/page.html")
        assert page.headers["Content-Type"] == "application/octet-stream"
        assert page.headers["Content-Disposition"].startswith("attachment")
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in page.headers["Content-Security-Policy"]
        text = await served.client.get(f"{base}/artifacts/sub/a%20b.txt")
        assert (text.text, text.headers["Content-Length"]) == ("text", "4")
        assert text.headers["Content-Disposition"] == "inline; filename*=UTF-8''a%20b.txt"
        assert (await served.client.get(f"{base}/stdout")).text == '{"results": [1]}\n'
        assert (await served.client.get(f"{base}/stderr")).text == ""
        for hostile in (
            "link",
            "../request.json",
            "..%2frequest.json",
            "sub",
            "nothing",
            "sub/../page.html%00",
        ):
            refused = await served.client.get(f"{base}/artifacts/{hostile}")
            assert refused.status_code in (400, 404), hostile


async def test_a_run_that_the_death_of_the_server_cut_off_is_called_lost(tmp_path: Path) -> None:
    async with world(tmp_path, [declare(shell(tmp_path, "echo '{}'"))], headers=ADMINISTRATOR) as served:
        run_id = (await served.client.post("/a")).json()["run_id"]
        (served.runs()[0] / "result.json").unlink()
        one = (await served.client.get(f"/api/endpoints/a/runs/{run_id}")).json()
        assert (one["status"], one["run_id"]) == ("lost", run_id)


async def test_an_endpoint_can_be_tried_though_it_is_disabled(tmp_path: Path) -> None:
    script = python(
        tmp_path, "import json, sys; print(json.dumps({'results': [json.load(sys.stdin)['params']]}))"
    )
    async with world(tmp_path, [declare(script, enabled=False)], headers=ADMINISTRATOR) as served:
        assert (await served.client.post("/a")).status_code == 404
        tried = await served.client.post("/api/endpoints/a/try", json={"params": {"x": 1}})
        assert (tried.status_code, tried.json()["results"]) == (200, [{"x": 1}])
        assert (await served.client.post("/api/endpoints/b/try")).status_code == 404
        assert (await served.client.post("/api/endpoints/a/try", json={"x": 1})).status_code == 400


async def test_the_api_description_lists_what_is_enabled_with_every_error(tmp_path: Path) -> None:
    script = shell(tmp_path, "echo '{}'")
    declared = [declare(script, path="/users/{id}"), declare(script, "b", enabled=False)]
    async with world(tmp_path, declared, headers=ADMINISTRATOR) as served:
        document = (await served.client.get("/openapi.json")).json()
        schema = (await served.client.get("/api/endpoints/schema")).json()
    operation = document["paths"]["/users/{id}"]["post"]
    assert operation["tags"] == ["endpoints"]
    assert operation["parameters"][0]["name"] == "id"
    codes = ("200", "400", "401", "403", "404", "405", "413", "429", "500", "502", "503", "504")
    assert set(codes) <= set(operation["responses"])
    assert "/b" not in document["paths"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    text = str(document)
    for part in text.split("'#/components/")[1:]:
        kind, name = part.split("'")[0].split("/")
        assert name in document["components"][kind], name


async def test_the_health_page_knows_of_the_folder_of_runs(tmp_path: Path) -> None:
    async with world(tmp_path, [declare(shell(tmp_path, "echo '{}'"))], headers=ADMINISTRATOR) as served:
        (check,) = served.capability.checks
        assert (await check.probe())["declared"] == 1
        if os.geteuid() != 0:
            (tmp_path / "data/runs").chmod(0o500)
            with pytest.raises(PermissionError):
                await check.probe()
