"""Calls that nobody waits for (RFC 7240), and parameters that have to fit a schema."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.endpoints.conftest import SECRET, World, declare, python, shell, world
from tests.integration.endpoints.test_flow import WAITS, let_go, started

from runstead.capabilities.endpoints.settings import EndpointSettings, validate_endpoints
from runstead.testing.scenario import AS_ADMINISTRATOR

ASYNC = {"Prefer": "respond-async, wait=10"}
ECHO = "import json, sys\nasked = json.load(sys.stdin)\nprint(json.dumps({'results': [asked['params']]}))"


async def run_of(served: World, place: str, status: str) -> dict[str, Any]:
    """What a run tells, once it has this status."""
    async with asyncio.timeout(30):
        while (found := (await served.client.get(place)).json())["status"] != status:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    return found  # type: ignore[no-any-return]


async def test_a_run_goes_on_and_is_followed(tmp_path: Path) -> None:
    script = f'echo first >&2; echo "with {SECRET}" >&2; {WAITS}; echo last >&2'
    async with world(tmp_path, [declare(shell(tmp_path, script))], headers=AS_ADMINISTRATOR) as served:
        answer = await served.client.post("/a", headers=ASYNC)
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "respond-async"
        place = answer.headers["location"]
        assert answer.json() == {
            "run_id": place.rsplit("/", 1)[1],
            "status": "queued",
            "run": place,
            "events": f"{place}/events",
        }
        await run_of(served, place, "running")
        await started(served, 1)
        following = asyncio.create_task(served.client.get(f"{place}/events"))
        let_go(served)
        text = (await following).text
        events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        assert [one["message"] for one in events[:-1]] == ["first", "with ***", "started", "last"]
        assert events[-1]["status"] == "succeeded"
        again = (await served.client.get(f"{place}/events")).text
        assert again.count("event: end") == 1
        assert (await served.client.get(f"{place[:-4]}0000/events")).status_code == 404


async def test_runs_wait_for_their_turn_and_a_full_queue_says_so(tmp_path: Path) -> None:
    declared = [declare(shell(tmp_path, WAITS), concurrency=1, queue_limit=1)]
    async with world(tmp_path, declared, headers=AS_ADMINISTRATOR) as served:
        places = [(await served.client.post("/a", headers=ASYNC)).headers["location"] for _ in range(2)]
        await started(served, 1)
        assert (await served.client.get(places[1])).json()["status"] == "queued"
        busy = await served.client.post("/a", headers=ASYNC)
        assert (busy.status_code, busy.json()["error"]["code"]) == (503, "E_BUSY")
        let_go(served)
        await run_of(served, places[0], "succeeded")
        await started(served, 2)
        let_go(served)
        await run_of(served, places[1], "succeeded")


async def test_a_server_that_stops_ends_what_nobody_waits_for(tmp_path: Path) -> None:
    declared = [declare(shell(tmp_path, WAITS), concurrency=1)]
    async with world(tmp_path, declared, headers=AS_ADMINISTRATOR) as served:
        for _ in range(2):
            await served.client.post("/a", headers=ASYNC)
        await started(served, 1)
        folders = served.runs()
    (folder,) = folders
    assert json.loads((folder / "result.json").read_bytes())["status"] == "cancelled"


SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 1},
        "share": {"type": "number"},
        "deep": {"type": "object", "properties": {"on": {"type": "boolean"}}},
        "on": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "mail": {"type": "string", "pattern": "^[^@]+@[^@]+$"},
    },
    "required": ["count"],
    "additionalProperties": False,
}


async def test_parameters_have_to_fit_before_the_program_starts(tmp_path: Path) -> None:
    declared = [
        declare(python(tmp_path, ECHO), params=SCHEMA),
        declare("script.py", "q", method="GET", path="/q/{count}", params=SCHEMA),
    ]
    async with world(tmp_path, declared, headers=AS_ADMINISTRATOR) as served:
        client = served.client

        async def call(params: Any) -> httpx.Response:
            return await client.post("/a", json={"params": params})

        assert (await call({"count": 2, "tags": ["x"]})).json()["results"] == [{"count": 2, "tags": ["x"]}]
        asked = await client.get("/q/7", params={"share": "0.5", "on": "true", "tags": "one", "mail": "a@b"})
        assert asked.json()["results"] == [
            {"count": 7, "share": 0.5, "on": True, "tags": ["one"], "mail": "a@b"}
        ]
        before = len(served.runs())
        for params, field in (
            ({}, "params"),
            ({"count": 0}, "params.count"),
            ({"count": "x"}, "params.count"),
            ({"count": 1, "other": 1}, "params"),
            ({"count": 1, "deep": {"on": 1}}, "params.deep.on"),
            ({"count": 1, "mail": "nobody"}, "params.mail"),
        ):
            refused = await call(params)
            error = refused.json()["error"]
            assert (refused.status_code, error["code"]) == (400, "E_BAD_REQUEST"), params
            assert error["details"]["field"] == field
            assert error["details"]["problems"][0]["message"]
        assert (await client.post("/a", json={}, headers=ASYNC)).status_code == 400
        assert len(served.runs()) == before, "no program was started"
        described = (await client.get("/openapi.json")).json()["paths"]["/a"]["post"]
        body = described["requestBody"]["content"]["application/json"]["schema"]
        assert body["properties"]["params"] == SCHEMA
        assert "202" in described["responses"]


@pytest.mark.req("EP-001")
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nothing"},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"properties": {"a": {"pattern": "("}}},
    ],
)
def test_a_schema_that_is_none_is_found_at_the_start(tmp_path: Path, schema: dict[str, Any]) -> None:
    declared: list[EndpointSettings] = [declare(shell(tmp_path, "true"), params=schema)]
    (problem,) = validate_endpoints(declared, tmp_path)
    assert problem[0] == "[0].params"
    assert "JSON Schema" in problem[1]
