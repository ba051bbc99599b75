"""Jobs that ended long ago, or whose logs take too much room, are removed: rows, logs, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.jobs.conftest import Open
from tests.integration.jobs.test_life import ended, python, start

pytestmark = pytest.mark.req("JOBS-001")

#: Text that packs badly, to some 900 KB.
NOISE = "import base64, os\nfor _ in range(1000): print(base64.b64encode(os.urandom(900)).decode())"


def change(folder: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(folder / "jobs.db")
    with connection:
        connection.execute(statement, values)
    connection.close()


async def gone(client: httpx.AsyncClient, job_id: str) -> None:
    """It is looked at when the server starts, beside what else it does."""
    async with asyncio.timeout(20):
        while (await client.get(f"/api/scripts/{job_id}")).status_code != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def names(folder: Path) -> str:
    return " ".join(path.name for path in folder.glob("data/logs/*/*"))


async def packed(folder: Path, job_id: str) -> None:
    async with asyncio.timeout(20):
        while f"script_{job_id}.log " in f"{names(folder)} ":  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_ended_long_ago_is_removed(open_jobs: Open, tmp_path: Path) -> None:
    async with open_jobs() as client:
        old, young, other = [await start(client, "echo one") for _ in range(3)]
        for job_id in (old, young, other):
            await ended(client, job_id)
        running = await start(client, "sleep 600")
        change(
            tmp_path, "UPDATE jobs_attempts SET stopped_at = '2001-01-01T00:00:00Z' WHERE job_id <> ?", young
        )
        change(tmp_path, "UPDATE jobs_jobs SET node = 'of-another-server' WHERE id = ?", other)
        await client.post(f"/api/scripts/{running}/kill", json={"grace_seconds": 0})
    async with open_jobs(max_age_days=1) as client:
        await gone(client, old)
        for job_id in (young, other, running):
            assert (await client.get(f"/api/scripts/{job_id}")).status_code == 200
        assert old not in names(tmp_path)
        assert young in names(tmp_path)


async def test_the_oldest_go_when_logs_take_too_much(open_jobs: Open, tmp_path: Path) -> None:
    async with open_jobs(cpu_percent=1000) as client:
        first, second, third = [await start(client, python(NOISE)) for _ in range(3)]
        for job_id in (first, second, third):
            await ended(client, job_id)
            await packed(tmp_path, job_id)
    async with open_jobs(max_total_bytes=2 * 1024 * 1024) as client:
        await gone(client, first)
        assert first not in names(tmp_path)
        for job_id in (second, third):
            assert (await client.get(f"/api/scripts/{job_id}")).status_code == 200
            assert (await client.get(f"/api/scripts/{job_id}/logs", params={"tail": 1})).json()["lines"]
