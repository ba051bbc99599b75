"""Whose turn it is, and what happens to those that failed."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.jobs.conftest import Open
from tests.integration.jobs.test_life import ended, python, start

from runstead.capabilities.jobs.model import Job, Status
from runstead.capabilities.jobs.turns import Turns
from runstead.kernel.clock import SystemClock

pytestmark = pytest.mark.req("JOBS-001")

#: Writes its word down, then waits until there is a file `go`.
WAITS = "import os, sys, time\nopen('order', 'a').write(sys.argv[1] + ' ')\nwhile not os.path.exists('go'): time.sleep(0.01)\n"


async def until(client: httpx.AsyncClient, job_id: str, status: str) -> None:
    while (await client.get(f"/api/scripts/{job_id}")).json()["status"] != status:
        pass


async def test_the_urgent_go_first(open_jobs: Open, tmp_path: Path) -> None:
    (tmp_path / "work/waits.py").write_text(WAITS)
    async with open_jobs(concurrency=1) as client:
        jobs = [await start(client, "python3 waits.py first")]
        await until(client, jobs[0], "running")
        for word, priority in (("low", -5), ("normal", 0), ("high", 50), ("normal2", 0)):
            jobs.append(await start(client, f"python3 waits.py {word}", priority=priority))
        (tmp_path / "work/go").touch()
        for job_id in jobs:
            await ended(client, job_id)
    assert (tmp_path / "work/order").read_text().split() == ["first", "high", "normal", "normal2", "low"]


async def test_a_label_has_its_limit_and_holds_up_nobody_else(open_jobs: Open, tmp_path: Path) -> None:
    (tmp_path / "work/waits.py").write_text(WAITS)
    limits = {"db=shop": 1, "host": 1}
    async with open_jobs(concurrency=8, label_concurrency=limits) as client:
        one = await start(client, "python3 waits.py 1", labels={"db": "shop"})
        await until(client, one, "running")
        two = await start(client, "python3 waits.py 2", labels={"db": "shop"})
        others = [
            await start(client, "python3 waits.py 3", labels={"db": "other"}),
            await start(client, "python3 waits.py 4", labels={"db": "other"}),
            await start(client, "python3 waits.py 5", labels={"host": "a"}),
            await start(client, "python3 waits.py 6", labels={"host": "b"}),
        ]
        for job_id in others:
            await until(client, job_id, "running")
        assert (await client.get(f"/api/scripts/{two}")).json()["status"] == "queued"
        (tmp_path / "work/go").touch()
        assert (await ended(client, two))["status"] == "completed"


async def test_a_failed_job_waits_longer_before_each_retry(open_jobs: Open) -> None:
    async with open_jobs() as client:
        job_id = await start(client, "false", retries=2, retry_seconds=0.2)
        while (await client.get(f"/api/scripts/{job_id}")).json()["attempt"] < 3:
            pass
        await ended(client, job_id)
        attempts = (await client.get(f"/api/scripts/{job_id}")).json()["attempts"]
    begun = [datetime.fromisoformat(one["started_at"]) for one in attempts]
    ends = [datetime.fromisoformat(one["stopped_at"]) for one in attempts]
    waits = [(begun[n + 1] - ends[n]).total_seconds() for n in (0, 1)]
    assert waits[0] >= 0.19
    assert waits[1] >= 0.39
    assert [one["status"] for one in attempts] == ["failed"] * 3


async def test_a_job_is_run_again_as_it_was_and_with_changes(open_jobs: Open) -> None:
    code = python("import os; print(os.environ['A'], os.environ.get('B'))")
    async with open_jobs() as client:
        first = await start(client, code, env={"A": "1"}, labels={"k": "v"}, priority=3, timeout=50)
        await ended(client, first)

        async def rerun(**body: Any) -> dict[str, Any]:
            answer = await client.post(f"/api/scripts/{first}/rerun", json=body)
            assert answer.status_code == 201, answer.text
            return await ended(client, answer.json()["id"])

        same = await rerun()
        assert (same["last_line"], same["rerun_of"], same["labels"]) == ("1 None", first, {"k": "v"})
        assert (same["timeout"], same["priority"], same["command"]) == (50, 3, code)
        changed = await rerun(env={"B": "2"}, timeout=5, labels={}, priority=0)
        assert (changed["last_line"], changed["timeout"], changed["labels"]) == ("1 2", 5, {})
        assert (await rerun(command="echo other"))["last_line"] == "other"
        refused = await client.post(f"/api/scripts/{first}/rerun", json={"command": "echo | sh"})
        assert refused.status_code == 422


def job(number: int, priority: int, labels: dict[str, str]) -> Job:
    return Job(
        id=f"{number:04}",
        command="true",
        argv=("true",),
        name="true",
        status=Status.QUEUED,
        created_at=SystemClock().now(),
        timeout_seconds=1,
        working_dir="/",
        labels=labels,
        priority=priority,
    )


@given(
    jobs=st.lists(st.tuples(st.integers(-2, 2), st.sampled_from(["a", "b", ""]), st.booleans()), max_size=25),
    concurrency=st.integers(1, 4),
    limit=st.integers(1, 3),
)
def test_no_limit_is_ever_passed_and_nobody_waits_for_ever(
    jobs: list[tuple[int, str, bool]], concurrency: int, limit: int
) -> None:
    """Some give up while they wait, or while they run."""

    async def scenario() -> None:
        turns, running, most = Turns(concurrency, {"x": limit}), [""] * 0, 0

        async def one(number: int, priority: int, label: str) -> None:
            nonlocal most
            async with turns.turn(job(number, priority, {"x": label} if label else {})):
                running.append(label)
                most = max(most, len(running))
                assert len(running) <= concurrency
                assert not label or running.count(label) <= limit
                try:
                    for _ in range(3):
                        await asyncio.sleep(0)
                finally:
                    running.remove(label)

        tasks = [asyncio.create_task(one(n, priority, label)) for n, (priority, label, _) in enumerate(jobs)]
        await asyncio.sleep(0)
        for task, (_, _, gives_up) in zip(tasks, jobs, strict=True):
            if gives_up:
                await asyncio.sleep(0)
                task.cancel()
        found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        assert all(one is None or isinstance(one, asyncio.CancelledError) for one in found)
        async with asyncio.timeout(1), turns.turn(job(9999, 0, {"x": "a"})):
            pass

    asyncio.run(scenario())
