"""Jobs that want too much, or do not want to end."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import pytest
from tests.integration.endpoints.test_walls import FORKS, HUNGRY_FAMILY
from tests.integration.jobs.conftest import Open
from tests.integration.jobs.test_life import ended, python, start
from tests.integration.process.test_trees import DAEMON, alive

from runstead.platform.execution.process import group_status

GROUPS = pytest.mark.skipif(not group_status().available, reason=group_status().reason)
pytestmark = pytest.mark.req("JOBS-001")


@pytest.mark.req("JOBS-008")
@GROUPS
@pytest.mark.parametrize(
    ("code", "settings", "limit"),
    [
        (FORKS, {"processes": 20}, "processes"),
        (HUNGRY_FAMILY, {"memory_mb": 64}, "memory"),
        ("while True: pass", {"cpu_seconds": 1, "cpu_percent": 1000}, "cpu"),
    ],
    ids=["forks", "memory", "time"],
)
async def test_a_limit_ends_a_job_and_is_its_reason(
    open_jobs: Open, code: str, settings: dict[str, Any], limit: str
) -> None:
    async with open_jobs(**settings) as client:
        facts = await ended(client, await start(client, python(code)))
    assert (facts["status"], facts["reason"]) == ("failed", f"limit: {limit}")


@GROUPS
async def test_a_job_gets_four_fifths_of_a_processor_unless_it_is_told_otherwise(open_jobs: Open) -> None:
    async with open_jobs() as client:
        job_id = await start(client, python("while True: pass"), timeout=2)
        facts = await ended(client, job_id)
    assert facts["status"] == "timed_out"
    assert facts["cpu_seconds"] < 0.8 * 3 + 0.3


@pytest.mark.req("JOBS-006")
@pytest.mark.parametrize("how", ["kill", "timeout", "stop"])
async def test_no_way_of_ending_leaves_a_daemon(open_jobs: Open, tmp_path: Path, how: str) -> None:
    marker, told = f"daemon-{time.monotonic_ns()}", tmp_path / "work/told"
    command = f"python3 -c {shlex.quote(DAEMON)} {told} {marker} stays"
    async with open_jobs() as client:
        job_id = await start(client, command, timeout=1.5 if how == "timeout" else 600)
        if how == "timeout":
            assert (await ended(client, job_id))["status"] == "timed_out"
        else:
            while not told.exists():
                await client.get(f"/api/scripts/{job_id}")
            assert alive(marker)
        if how == "kill":
            answer = await client.post(f"/api/scripts/{job_id}/kill", json={"grace_seconds": 0.2})
            assert answer.json()["status"] == "killed"
    assert not alive(marker)


async def test_what_a_job_leaves_running_ends_with_it(open_jobs: Open, tmp_path: Path) -> None:
    marker, told = f"daemon-{time.monotonic_ns()}", tmp_path / "work/told"
    async with open_jobs() as client:
        facts = await ended(
            client, await start(client, f"python3 -c {shlex.quote(DAEMON)} {told} {marker} goes")
        )
        assert facts["status"] == "completed"
        assert not alive(marker)


async def test_device_traffic_and_memory_are_told(open_jobs: Open) -> None:
    async with open_jobs() as client:
        job_id = await start(client, python("x = b'x' * 30_000_000"))
        facts = await ended(client, job_id)
        assert facts["max_rss_bytes"] > 30_000_000
        assert facts["cpu_seconds"] > 0
        assert {"read_bytes", "written_bytes"} <= facts.keys()
