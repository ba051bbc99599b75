"""Long logs become parts, packed while their job runs; the oldest go where there are too many; a reader sees one log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.jobs.conftest import Open
from tests.integration.jobs.test_life import ended, python, start

pytestmark = pytest.mark.req("JOBS-005")

LINES = 60_000
#: Some 80 bytes a line in the log: five parts of a MiB.
PRINTS = f"""
import os, time
for n in range(1, {LINES} + 1):
    print(n, 'x' * 50, flush=n % 5000 == 0)
while not os.path.exists('go'):
    time.sleep(0.01)
"""


async def until(seen: Callable[[], bool]) -> None:
    """What is done to files, nobody announces."""
    async with asyncio.timeout(20):
        while not seen():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def files(folder: Path, job_id: str) -> list[str]:
    """Names of what the disk has of its log."""
    found = folder.glob(f"data/logs/*/script_{job_id}*/*")
    return sorted(path.name for path in [*found, *folder.glob(f"data/logs/*/script_{job_id}*log*")])


async def page(client: httpx.AsyncClient, job_id: str, **params: Any) -> Any:
    answer = await client.get(f"/api/scripts/{job_id}/logs", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def watch(client: httpx.AsyncClient, job_id: str, seen: list[int]) -> int:
    """Numbers of all lines from the first on, until the end; how many were missed."""
    missed, headers = 0, {"Accept": "text/event-stream"}
    async with client.stream("GET", f"/api/scripts/{job_id}/logs", headers=headers) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("id: "):
                seen.append(int(line.removeprefix("id: ")))
            elif line.startswith('data: {"missed":'):
                missed += json.loads(line.removeprefix("data: "))["missed"]
    return missed


async def test_a_long_log_is_packed_while_it_grows_and_read_as_one(open_jobs: Open, tmp_path: Path) -> None:
    async with open_jobs(cpu_percent=1000, log_part_mb=1) as client:
        job_id = await start(client, python(PRINTS))
        while (await client.get(f"/api/scripts/{job_id}")).json()["lines"] < LINES:
            pass
        await until(lambda: len([one for one in files(tmp_path, job_id) if one.endswith(".zst")]) >= 3)
        growing = files(tmp_path, job_id)
        assert f"script_{job_id}.log" in growing
        assert len([one for one in growing if not one.endswith(".zst")]) <= 2, "the full ones are packed"
        seen: list[int] = []
        watching = asyncio.create_task(watch(client, job_id, seen))
        for first in (1, 20_000, LINES - 1):
            lines = (await page(client, job_id, **{"from": first, "limit": 2}))["lines"]
            assert [line["seq"] for line in lines] == [first, first + 1]
            assert lines[0]["line"].startswith(f"{first} ")
            since = (await page(client, job_id, since=lines[0]["at"], limit=1))["lines"][0]
            assert (since["at"], since["seq"] <= first) == (lines[0]["at"], True)
        (tmp_path / "work/go").touch()
        assert await watching == 0
        assert seen == list(range(1, LINES + 1))
        await until(lambda: all(one.endswith(".zst") for one in files(tmp_path, job_id)))
        again: list[int] = []
        assert await watch(client, job_id, again) == 0
        assert again == seen
        assert (await page(client, job_id, tail=1))["lines"][0]["seq"] == LINES
        assert (await client.delete(f"/api/scripts/{job_id}")).status_code == 204
        assert files(tmp_path, job_id) == []


async def test_the_oldest_are_removed_and_readers_are_told(open_jobs: Open, tmp_path: Path) -> None:
    (tmp_path / "work/go").touch()
    async with open_jobs(cpu_percent=1000, log_part_mb=1, log_parts=2) as client:
        job_id = await start(client, python(PRINTS))
        assert (await ended(client, job_id))["lines"] == LINES
        await until(lambda: all(one.endswith(".zst") for one in files(tmp_path, job_id)))
        assert len(files(tmp_path, job_id)) == 2
        seen: list[int] = []
        missed = await watch(client, job_id, seen)
        assert missed > 0
        assert seen == list(range(missed + 1, LINES + 1))
        told = await page(client, job_id, limit=1)
        assert (told["total"], told["lines"][0]["seq"]) == (LINES, missed + 1)
        assert told["next_from"] == missed + 2
        middle = missed + (LINES - missed) // 2
        assert (await page(client, job_id, **{"from": middle, "limit": 1}))["lines"][0]["seq"] == middle
