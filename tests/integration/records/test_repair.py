"""What a crash or a failing store leaves, and how it is mended."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.integration.records.conftest import RUN, SERVICE, World, open_records

from runstead.platform.storage.objects import (
    CONTENT_TYPE,
    FolderObjects,
    ObjectMissingError,
    Objects,
    ObjectsUnavailableError,
)
from runstead.testing.clock import FakeClock
from runstead.testing.objects import MemoryObjects
from runstead.testing.scenario import AS_ADMINISTRATOR


class FailingObjects(MemoryObjects):
    """Refuses to write keys that hold a certain text."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = ""
        self.refusals = 0
        self.replaced: list[str] = []

    async def create(self, key: str, data: bytes, *, content_type: str = CONTENT_TYPE) -> None:
        self._refuse(key)
        await super().create(key, data, content_type=content_type)

    async def replace(self, key: str, data: bytes) -> None:
        self._refuse(key)
        await super().replace(key, data)
        self.replaced.append(key)

    def _refuse(self, key: str) -> None:
        if self.refused and self.refused in key:
            self.refusals += 1
            raise ObjectsUnavailableError


@pytest.fixture
def objects() -> FailingObjects:
    return FailingObjects()


@pytest.fixture
async def world(objects: FailingObjects) -> AsyncIterator[World]:
    service, opening = open_records(objects)
    async with opening as client:
        yield World(client, objects, service)


async def _reindex(client: httpx.AsyncClient, limit: int = 3) -> tuple[int, list[str]]:
    records, damaged, cursor = 0, [], None
    while True:
        query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        response = await client.post("/admin/records/reindex", params=query, headers=AS_ADMINISTRATOR)
        assert response.status_code == 200, response.text
        step = response.json()
        records += step["records"]
        damaged += step["damaged"]
        cursor = step["next_cursor"]
        if cursor is None:
            return records, damaged


async def _content(objects: Objects) -> dict[str, bytes]:
    return {info.key: await objects.get(info.key) for info in await objects.list("")}


@pytest.mark.parametrize("run_id", ["build-7", RUN])
@pytest.mark.parametrize("part", ["by-run/", "payload.json", "by-time/", "by-commit/"])
async def test_who_was_not_told_that_it_is_kept_sends_again_and_all_is_well(
    world: World, objects: FailingObjects, part: str, run_id: str
) -> None:
    objects.refused = part
    first = await world.put(run_id=run_id, commit_sha="c1", generated_at="2026-01-05T00:00:00Z")
    objects.refused = ""
    assert first.status_code == (202 if part == "by-run/" and run_id == RUN else 503)
    again = await world.put(run_id=run_id, commit_sha="c1", generated_at="2026-01-05T00:00:00Z")
    assert again.status_code in (200, 202)
    for path in ("", "/latest", f"/runs/{run_id}", "?commit=c1"):
        assert run_id in (await world.client.get(SERVICE + path)).text


async def test_a_claim_without_a_record_does_not_decide_what_the_record_says(
    world: World, objects: FailingObjects
) -> None:
    objects.refused = "payload.json"
    assert (await world.put(generated_at="2026-01-05T00:00:00Z")).status_code == 503
    objects.refused = ""
    response = await world.put(generated_at="2026-02-05T00:00:00Z", artifact={"other": True})
    assert response.status_code == 202
    assert "date=2026-01-05" in response.json()["location"]
    assert (await world.client.get(f"{SERVICE}/runs/run-1")).json()["artifact"] == {"other": True}


@pytest.mark.req("REC-011")
async def test_reindex_brings_everything_back_from_the_records_alone(
    world: World, objects: FailingObjects
) -> None:
    for number in range(5):
        await world.put(run_id=f"r{number}", commit_sha=f"c{number % 2}", service=f"s{number % 2}")
    await world.put(run_id=RUN)
    await world.service.flush()
    before = await _content(objects)
    for key in before:
        if not key.endswith("payload.json"):
            await objects.delete(key)
    assert await _reindex(world.client) == (6, [])
    assert await _content(objects) == before
    assert await _reindex(world.client, limit=1000) == (6, [])
    assert await _content(objects) == before


async def test_reindex_names_damaged_records_and_leaves_them_alone(
    world: World, objects: FailingObjects
) -> None:
    locations = [(await world.put(run_id=f"r{number}")).json()["location"] for number in range(6)]
    whole = await objects.get(locations[0])
    damage = [
        whole.replace(b'"ok":true', b'"ok":false'),
        whole[:-1],
        b"[]",
        whole.replace(b'"run_id":"r0"', b'"run_id":"r9"'),
        await objects.get(locations[5]),  # moved to another key
    ]
    for location, data in zip(locations, damage, strict=False):
        await objects.replace(location, data)
    records, damaged = await _reindex(world.client)
    assert (records, sorted(damaged)) == (6, sorted(locations[:5]))
    assert [await objects.get(location) for location in locations[:5]] == damage


async def test_a_damaged_record_is_never_taken_for_a_duplicate(world: World, objects: FailingObjects) -> None:
    location = (await world.put()).json()["location"]
    await objects.replace(location, b"{}")
    response = await world.put()
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "E_RECORD_DAMAGED"


async def test_broken_entries_are_left_out_until_they_are_rebuilt(
    world: World, objects: FailingObjects
) -> None:
    await world.put()
    await world.service.flush()
    before = await _content(objects)
    for key in before:
        if not key.endswith("payload.json"):
            await objects.replace(key, b"not JSON")
    assert (await world.client.get(SERVICE)).json()["runs"] == []
    assert (await world.client.get(f"{SERVICE}/latest")).status_code == 404
    assert await _reindex(world.client) == (1, [])
    assert await _content(objects) == before


async def _pointer(objects: Objects) -> str:
    key = "stricture/v1/org=acme/project=shop/service=checkout/latest.json"
    return str(json.loads(await objects.get(key))["run_id"])


async def test_the_pointer_follows_a_moment_later_and_once_for_many(objects: FailingObjects) -> None:
    clock = FakeClock()
    service, opening = open_records(objects, clock=clock)
    async with opening as client:
        world = World(client, objects, service)
        for number in range(5):
            await world.put(run_id=f"r{number}")
            clock.advance(0.001)
        assert objects.replaced == []
        while not objects.replaced:
            clock.advance(1)
            await asyncio.sleep(0)
        assert await _pointer(objects) == "r4"
        await world.put(run_id="r5")
    assert await _pointer(objects) == "r5"
    assert len(objects.replaced) == 2


async def test_a_pointer_that_cannot_be_written_does_not_matter_and_is_tried_again(
    objects: FailingObjects,
) -> None:
    clock = FakeClock()
    service, opening = open_records(objects, clock=clock)
    async with opening as client:
        objects.refused = "latest.json"
        world = World(client, objects, service)
        assert (await world.put()).status_code == 202
        while objects.refusals < 2:
            clock.advance(1)
            await asyncio.sleep(0)
        assert (await client.get(f"{SERVICE}/latest")).status_code == 200
        objects.refused = ""
        while not objects.replaced:
            clock.advance(1)
            await asyncio.sleep(0)
    assert await _pointer(objects) == "run-1"


_KILLED_BETWEEN = """
import asyncio, os, signal, sys
from pathlib import Path
from runstead.capabilities.records import RecordsSettings, capability
from runstead.platform.storage.objects import FolderObjects

class Killed(FolderObjects):
    async def create(self, key, data, **options):
        if "by-time/" in key:
            os.kill(os.getpid(), signal.SIGKILL)
        await super().create(key, data, **options)

records = capability(settings=RecordsSettings(), objects=Killed(Path(sys.argv[1])), loopback=True)
document = {"organization": "acme", "project": "shop", "service": "checkout", "run_id": "run-1", "artifact": {"n": 1}}
asyncio.run(records.services["records"].ingest(document, actor="test"))
"""


def _killed_between_record_and_index(folder: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", _KILLED_BETWEEN, str(folder)], check=False, timeout=50)
    assert ended.returncode == -9


@pytest.mark.req("REC-011")
async def test_a_process_killed_between_record_and_index_is_repaired_by_reindex(tmp_path: Path) -> None:
    await asyncio.to_thread(_killed_between_record_and_index, tmp_path)
    objects = FolderObjects(tmp_path)
    _, opening = open_records(objects)
    async with opening as client:
        assert (await client.get(SERVICE)).json()["runs"] == []
        assert await _reindex(client) == (1, [])
        listed = (await client.get(SERVICE)).json()["runs"]
        record = await client.get(f"{SERVICE}/latest")
        assert [run["run_id"] for run in listed] == ["run-1"]
        assert record.json()["artifact"] == {"n": 1}
        assert hashlib.sha256(record.content).hexdigest() == record.headers["etag"].strip('"')


async def test_a_process_killed_between_record_and_index_is_repaired_by_sending_again(
    tmp_path: Path,
) -> None:
    await asyncio.to_thread(_killed_between_record_and_index, tmp_path)
    objects = FolderObjects(tmp_path)
    service, opening = open_records(objects)
    async with opening as client:
        assert (await World(client, objects, service).put(artifact={"n": 1})).status_code == 200
        assert (await client.get(f"{SERVICE}/latest")).status_code == 200


async def test_health_fails_with_the_store_and_comes_back_with_it(
    world: World, objects: FailingObjects
) -> None:
    objects.refused = "format.json"
    with pytest.raises(ObjectsUnavailableError):
        await world.service.check()
    objects.refused = ""
    assert (await world.client.get("/health")).json()["status"] in ("ok", "degraded", "down")
    assert await world.service.check() == {"prefix": "stricture"}
    assert await world.service.check() == {"prefix": "stricture"}


async def test_a_latest_pointer_to_a_record_that_is_gone_is_404(
    world: World, objects: FailingObjects
) -> None:
    location = (await world.put()).json()["location"]
    await objects.delete(location)
    assert (await world.client.get(f"{SERVICE}/latest")).status_code == 404
    with pytest.raises(ObjectMissingError):
        await objects.get(location)


@pytest.mark.req("REC-008")
def test_no_database_is_needed(tmp_path: Path) -> None:
    program = _KILLED_BETWEEN.replace("os.kill(os.getpid(), signal.SIGKILL)", "pass")
    program += "\nassert not {'sqlalchemy', 'alembic', 'psycopg'} & sys.modules.keys(), sys.modules.keys()"
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=50)
    assert ended.returncode == 0
    assert list(tmp_path.rglob("payload.json"))


@pytest.mark.req("REC-002")
async def test_no_record_is_accepted_that_the_disk_did_not_confirm(tmp_path: Path) -> None:
    confirms = False
    confirmed: list[int] = []

    def fsync(descriptor: int) -> None:
        if not confirms:
            raise OSError(5, "the disk is broken")
        confirmed.append(descriptor)

    objects = FolderObjects(tmp_path, fsync=fsync)
    service, opening = open_records(objects)
    async with opening as client:
        world = World(client, objects, service)
        assert (await world.put()).status_code == 503
        assert (await client.get(f"{SERVICE}/runs/run-1")).status_code == 404
        confirms = True
        assert (await world.put()).status_code == 202
        assert confirmed
