"""The results of the server's own runs, as records."""

from __future__ import annotations

import math
from typing import Any

import pytest

from runstead.capabilities.records import RecordsSettings, capability
from runstead.kernel.errors import UnavailableError
from runstead.kernel.events import Event
from runstead.kernel.limits import MIB
from runstead.platform.storage.objects import CONTENT_TYPE, ObjectsUnavailableError
from runstead.testing.objects import MemoryObjects
from runstead.testing.scenario import running

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


def event(topic: str = "jobs.finished", **changes: Any) -> Event:
    payload = {
        "run_id": RUN,
        "name": "countdown.py",
        "artifact": {"exit_code": 0},
        "summary": "completed",
        "finished_at": "2026-01-31T12:00:00.000000Z",
    }
    return Event(id="e1", topic=topic, payload={**payload, **changes})


async def _recorded(*events: Event, service: str = "countdown.py") -> dict[str, Any]:
    records = capability(
        settings=RecordsSettings(organization="here", project="mine"), objects=MemoryObjects(), loopback=True
    )
    async with running(records) as client:
        for each in events:
            await records.services["results"].handle(each)
        response = await client.get(f"/v1/artifacts/here/mine/{service}/runs/{RUN}")
        assert response.status_code == 200, response.text
        record: dict[str, Any] = response.json()
        return record


async def test_a_result_is_recorded_under_the_name_of_its_job() -> None:
    record = await _recorded(event())
    assert record["artifact"] == {"exit_code": 0}
    assert record["summary"] == "completed"
    assert record["generated_at"] == "2026-01-31T12:00:00.000000Z"
    assert record["sent_by"] == "server:jobs"


async def test_a_result_that_is_delivered_twice_is_recorded_once() -> None:
    record = await _recorded(event(), event(), event(artifact={"exit_code": 1}))
    assert record["artifact"] == {"exit_code": 0}


@pytest.mark.parametrize(
    ("name", "service"),
    [("a b/c", "a-b-c"), (".hidden", "hidden"), ("", "unnamed"), ("ü", "-"), ("x" * 200, "x" * 128)],
)
async def test_any_name_becomes_that_of_a_service(name: str, service: str) -> None:
    assert (await _recorded(event(name=name), service=service))["service"] == service


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("artifact", "kept"),
    [
        ({"big": 2**63, "nan": math.nan}, {"big": "9223372036854775808", "nan": "nan"}),
        ({"half": "a\ud800", "\udfff": 1}, {"half": "a?", "?": 1}),
        ([1, 2], {"result": [1, 2]}),
        (None, {"result": None}),
        ({"t": (1, True, 1.5)}, {"t": [1, True, 1.5]}),
    ],
)
async def test_a_result_is_kept_as_well_as_can_be(artifact: Any, kept: Any) -> None:
    assert (await _recorded(event(artifact=artifact)))["artifact"] == kept


async def test_a_result_that_is_nested_too_deeply_is_cut() -> None:
    record = await _recorded(event(artifact={"deep": _deep(500)}))
    assert "omitted: more than 100 levels" in str(record["artifact"])


async def test_a_result_that_is_too_large_is_recorded_without_it() -> None:
    record = await _recorded(event(artifact={"text": "x" * (10 * MIB)}))
    assert record["artifact"] == {"omitted": "the result has more than 10485760 bytes"}


async def test_what_can_never_be_recorded_does_not_block_the_outbox() -> None:
    record = await _recorded(event(run_id="no/name"), event(finished_at="nonsense"), event())
    assert record["run_id"] == RUN


async def test_what_cannot_be_recorded_now_is_tried_again_later() -> None:
    class FullObjects(MemoryObjects):
        async def create(self, key: str, data: bytes, *, content_type: str = CONTENT_TYPE) -> None:
            raise ObjectsUnavailableError

    records = capability(settings=RecordsSettings(), objects=FullObjects(), loopback=True)
    with pytest.raises(UnavailableError):
        await records.services["results"].handle(event())
