"""What becomes of a document that is sent."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from typing import Any

import pytest
from tests.integration.records.conftest import RUN, SERVICE, World, document

from runstead.capabilities.records import canonical_json
from runstead.kernel.limits import MIB


@pytest.mark.req("REC-001", "REC-002")
async def test_a_record_is_accepted_and_kept_under_the_documented_key(world: World) -> None:
    run_id = RUN
    response = await world.put(run_id=run_id)
    assert response.status_code == 202
    location = (
        f"stricture/v1/org=acme/project=shop/service=checkout/date=2023-06-30/run={run_id}/payload.json"
    )
    assert response.json() == {"accepted": True, "run_id": run_id, "location": location}
    assert response.headers["location"] == f"{SERVICE}/runs/{run_id}"
    envelope = json.loads(await world.objects.get(location))
    assert envelope["key"] == location
    assert envelope["schema_version"] == 1
    assert envelope["sent_by"] == "anonymous"


async def test_the_hash_is_that_of_the_canonical_content(world: World) -> None:
    await world.put(commit_sha="abc123", summary="fine", metadata={"b": 1, "a": None})
    envelope = (await world.client.get(f"{SERVICE}/runs/run-1")).json()
    added = {"key", "received_at", "schema_version", "sent_by", "sha256"}
    content = {name: value for name, value in envelope.items() if name not in added}
    assert content == document(commit_sha="abc123", summary="fine", metadata={"b": 1, "a": None})
    assert envelope["sha256"] == hashlib.sha256(canonical_json(content)).hexdigest()


async def test_a_run_without_an_id_gets_a_uuid(world: World) -> None:
    first, second = [(await world.put(run_id=...)).json()["run_id"] for _ in range(2)]
    assert first != second
    assert first[14] == "7"


@pytest.mark.req("REC-003")
async def test_the_same_content_again_is_a_duplicate(world: World) -> None:
    first = await world.put(generated_at="2026-01-31T12:00:00+01:00", summary=None)
    again = await world.put(generated_at="2026-01-31T11:00:00.000Z")
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == {**first.json(), "duplicate": True}


@pytest.mark.req("REC-002", "REC-003")
async def test_other_content_of_the_same_run_is_refused_and_the_first_stays(world: World) -> None:
    await world.put(generated_at="2026-01-31T12:00:00Z")
    before = await world.client.get(f"{SERVICE}/runs/run-1")
    # Another date, which another key would follow from, if dates were taken from the content alone.
    changed = await world.put(generated_at="2026-03-01T12:00:00Z", artifact={"changed": True})
    assert changed.status_code == 409
    assert changed.json()["error"]["code"] == "E_RUN_CONFLICT"
    after = await world.client.get(f"{SERVICE}/runs/run-1")
    assert after.content == before.content


async def test_the_same_run_id_of_another_service_is_another_run(world: World) -> None:
    assert (await world.put()).status_code == 202
    assert (await world.put(service="other", artifact={})).status_code == 202


@pytest.mark.parametrize("run_id", ["build-7", RUN])
@pytest.mark.req("REC-003")
async def test_of_32_that_send_the_same_run_at_once_one_is_accepted(world: World, run_id: str) -> None:
    responses = await asyncio.gather(*(world.put(run_id=run_id) for _ in range(32)))
    assert Counter(response.status_code for response in responses) == {202: 1, 200: 31}


@pytest.mark.parametrize("run_id", ["build-7", RUN])
@pytest.mark.req("REC-003")
async def test_of_32_that_send_different_content_for_one_run_one_wins(world: World, run_id: str) -> None:
    async def send(number: int) -> int:
        day = f"2026-01-{number % 28 + 1:02d}T00:00:00Z"
        return (await world.put(run_id=run_id, artifact={"n": number % 16}, generated_at=day)).status_code

    statuses = Counter(await asyncio.gather(*map(send, range(32))))
    assert statuses[202] == 1
    assert statuses[200] + statuses[409] == 31
    runs = (await world.client.get(SERVICE)).json()["runs"]
    assert [run["run_id"] for run in runs] == [run_id]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"organization": ...}, "organization"),
        ({"artifact": ...}, "artifact"),
        ({"artifact": None}, "artifact"),
        ({"artifact": []}, "artifact"),
        ({"project": ".hidden"}, "project"),
        ({"project": "../../etc"}, "project"),
        ({"service": "a/b"}, "service"),
        ({"service": "x" * 129}, "service"),
        ({"service": "checkout\n"}, "service"),
        ({"service": 7}, "service"),
        ({"run_id": ""}, "run_id"),
        ({"run_id": "ümlaut"}, "run_id"),
        ({"commit_sha": "no spaces"}, "commit_sha"),
        ({"generated_at": "yesterday"}, "generated_at"),
        ({"generated_at": "2026-01-31"}, "generated_at"),
        ({"generated_at": "2026-01-31T12:00:00"}, "generated_at"),
        ({"generated_at": "20260131T120000Z"}, "generated_at"),
        ({"generated_at": "2026-02-30T12:00:00Z"}, "generated_at"),
        ({"generated_at": "9999-12-31T23:59:59-23:59"}, "generated_at"),
        ({"diff": "text"}, "diff"),
        ({"summary": {}}, "summary"),
        ({"metadata": [1]}, "metadata"),
        ({"surprise": 1}, "surprise"),
        ({"artifact": {"a": [{"big": 2**53}]}}, "artifact.a[0].big"),
        ({"artifact": {"a b": -(2**53)}}, 'artifact["a b"]'),
    ],
)
@pytest.mark.req("REC-001")
async def test_a_broken_rule_is_named_with_its_field(
    world: World, change: dict[str, Any], field: str
) -> None:
    response = await world.put(**change)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["code"] == "E_RECORD"
    assert [problem["field"] for problem in error["details"]] == [field]


@pytest.mark.req("REC-001")
async def test_every_problem_is_named_at_once(world: World) -> None:
    response = await world.put(organization=..., service="/", artifact={"x": 10**30}, more=1, diff=2)
    fields = {problem["field"] for problem in response.json()["error"]["details"]}
    assert fields == {"organization", "service", "artifact.x", "more", "diff"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "line 1 column 1"),
        (b"[]", "allowed: a JSON object"),
        (b"null", "allowed: a JSON object"),
        (b'{"artifact": {}} {}', "Extra data at line 1 column 18"),
        (b'{"artifact": {},}', "line 1 column 17"),
        (b"\xff{}", "byte 0 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"artifact": {"n": NaN}}', "NaN"),
        (b'{"artifact": {"n": -Infinity}}', "-Infinity"),
        (b'{"artifact": {"n": 1e999}}', "a number that a double holds"),
        (b'{"artifact": {"n": "\\ud800"}}', "surrogate"),
        (b'{"artifact": {"\\ud800": 1}}', "surrogate"),
        (b'{"artifact": {"n": ' + b"9" * 5000 + b"}}", "thousands of digits"),
        (b'{"artifact": {"n": 1, "n": 1}}', 'the key \\"n\\" more than once'),
        (b'{"project": "a", "artifact": {}, "project": "b"}', 'the key \\"project\\" more than once'),
        (b'{"artifact": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"artifact": {"a":' + b"[" * 200 + b"]" * 200 + b"}}", "more than 100 levels"),
    ],
)
@pytest.mark.req("REC-001")
async def test_what_is_no_document_is_refused_with_the_reason(
    world: World, body: bytes, message: str
) -> None:
    response = await world.client.post("/v1/artifacts", content=body)
    assert response.status_code == 400, response.text
    assert message in response.text


async def test_a_body_of_more_than_10_mib_is_refused(world: World) -> None:
    frame = len(json.dumps(document(summary="")))
    largest = await world.put(summary="x" * (10 * MIB - frame - 100))
    assert largest.status_code == 202
    announced = await world.put(summary="x" * (10 * MIB))
    assert announced.status_code == 413

    async def chunks() -> Any:
        for _ in range(11):
            yield b" " * MIB

    counted = await world.client.post("/v1/artifacts", content=chunks())
    assert counted.status_code == 413


async def test_numbers_keep_their_value_and_get_their_canonical_form(world: World) -> None:
    body = json.dumps(document()).replace("2.5", "1e20, 1E-7, -0.0, 100.0, 333333333.33333329")
    assert (await world.client.post("/v1/artifacts", content=body)).status_code == 202
    raw = (await world.client.get(f"{SERVICE}/runs/run-1")).text
    assert '"nodes":[1,100000000000000000000,1e-7,0,100,333333333.3333333,"ö"]' in raw
    assert (await world.client.post("/v1/artifacts", content=body)).json()["duplicate"] is True


async def test_other_methods_are_refused(world: World) -> None:
    response = await world.client.put("/v1/artifacts", json=document())
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert (await world.client.delete(f"{SERVICE}/runs/run-1")).headers["allow"] == "GET, HEAD"


async def test_what_was_sent_is_counted_by_outcome(world: World) -> None:
    await world.put()
    await world.put()
    await world.put(artifact={})
    await world.put(artifact=1)
    # The capability has a registry of its own unless the server hands it one.
    counted = world.service.figures.outcomes()
    assert counted == {"accepted": 1, "duplicate": 1, "conflict": 1, "invalid": 1}
