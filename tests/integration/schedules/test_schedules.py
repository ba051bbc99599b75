"""Schedules on both databases: times, absences, overlaps, two servers; and through HTTP with real jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.acceptance.conftest import start_server
from tests.integration.identity.world import Trail

from runstead.capabilities.jobs import MIGRATIONS
from runstead.capabilities.jobs.errors import JobNotFoundError, QueueFullError
from runstead.capabilities.jobs.model import Job, Status
from runstead.capabilities.jobs.newjob import NewJob
from runstead.capabilities.jobs.schedules.model import Plan, ScheduleNotFoundError
from runstead.capabilities.jobs.schedules.service import Schedules
from runstead.capabilities.jobs.schedules.store import ScheduleStore
from runstead.kernel.ids import new_id
from runstead.platform.storage.sql import Database, migrate
from runstead.testing.clock import FakeClock
from runstead.testing.server import ServerProcess

__all__ = ["start_server"]

HOURLY = Plan(name="report", cron="0 * * * *", time_zone="UTC", command="true")


class Jobs:
    """Starts nothing, and remembers it."""

    def __init__(self, clock: FakeClock) -> None:
        self.started: list[Job] = []
        self.killed: list[str] = []
        self.full = False
        self._clock = clock

    async def prepare(self, wanted: NewJob) -> Job:
        return Job(
            id=new_id(), command=wanted.command, argv=("true",), name=wanted.name, status=Status.RUNNING,
            created_at=self._clock.now(), timeout_seconds=1, working_dir="/", owner=wanted.owner,
        )  # fmt: skip

    async def start(self, wanted: NewJob) -> Job:
        if self.full:
            raise QueueFullError("too many are waiting")
        self.started.append(await self.prepare(wanted))
        return self.started[-1]

    async def get(self, job_id: str) -> Job:
        for job in self.started:
            if job.id == job_id:
                return job
        raise JobNotFoundError

    async def kill(self, job_id: str, *, signal_name: str, grace_seconds: float) -> Job:
        assert (signal_name, grace_seconds) == ("TERM", 5.0)
        self.killed.append(job_id)
        self.end(job_id)
        return await self.get(job_id)

    def end(self, job_id: str = "") -> None:
        self.started = [
            replace(job, status=Status.COMPLETED) if job_id in ("", job.id) else job for job in self.started
        ]


class Bench:
    def __init__(self, database: Database) -> None:
        # Half past, so that the next full hour is half an hour away.
        self.clock = FakeClock(datetime(2026, 1, 1, 12, 30, tzinfo=UTC))
        self.jobs, self.trail = Jobs(self.clock), Trail()
        self.schedules = Schedules(ScheduleStore(database, self.trail), self.jobs, clock=self.clock)

    async def later(self, **duration: float) -> float:
        self.clock.advance(timedelta(**duration).total_seconds())
        return await self.schedules.fire()


@pytest.fixture
async def bench(database: Database) -> Bench:
    await migrate(database, {"jobs": MIGRATIONS})
    return Bench(database)


async def result(bench: Bench) -> str:
    return (await bench.schedules.all())[0].last_result


async def test_it_fires_at_its_times_and_not_between(bench: Bench) -> None:
    made = await bench.schedules.create(HOURLY, owner="user:ada")
    assert made.next_at == datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert await bench.later(minutes=29) == 30, "it sleeps no longer than half a minute at once"
    assert bench.jobs.started == []
    assert await bench.later(seconds=59) == 1
    await bench.later(seconds=1)
    assert [(job.command, job.owner) for job in bench.jobs.started] == [("true", "user:ada")]
    await bench.later(minutes=30)
    assert len(bench.jobs.started) == 1
    bench.jobs.end()
    await bench.later(minutes=30)
    assert len(bench.jobs.started) == 2
    now = await bench.schedules.get(made.id)
    assert (now.last_result, now.last_job) == ("started", bench.jobs.started[-1].id)
    assert now.last_at == datetime(2026, 1, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("missed", "runs", "said"), [("skip", 0, "skipped: missed by"), ("once", 1, "started")]
)
async def test_after_an_absence(bench: Bench, missed: Any, runs: int, said: str) -> None:
    await bench.schedules.create(replace(HOURLY, missed=missed), owner="")
    await bench.later(hours=5)
    assert len(bench.jobs.started) == runs, "not one for each hour"
    assert (await result(bench)).startswith(said)
    bench.jobs.end()
    await bench.later(minutes=30)
    assert len(bench.jobs.started) == runs + 1, "and then as ever"


async def test_a_run_that_has_not_ended_leaves_the_next_out(bench: Bench) -> None:
    await bench.schedules.create(HOURLY, owner="")
    await bench.later(minutes=30)
    await bench.later(hours=1)
    assert len(bench.jobs.started) == 1
    assert await result(bench) == "skipped: the run before has not ended"


async def test_a_run_that_has_not_ended_is_waited_for(bench: Bench) -> None:
    await bench.schedules.create(replace(HOURLY, overlap="queue"), owner="")
    await bench.later(minutes=30)
    assert await bench.later(hours=1) == 2, "it looks again soon"
    assert await result(bench) == "waits for the run before"
    await bench.later(minutes=1)
    assert len(bench.jobs.started) == 1
    bench.jobs.end()
    await bench.later(minutes=1)
    assert len(bench.jobs.started) == 2
    await bench.later(minutes=1)
    assert len(bench.jobs.started) == 2


async def test_a_run_that_has_not_ended_is_ended(bench: Bench) -> None:
    await bench.schedules.create(replace(HOURLY, overlap="kill"), owner="")
    await bench.later(minutes=30)
    await bench.later(hours=1)
    assert bench.jobs.killed == [bench.jobs.started[0].id]
    assert len(bench.jobs.started) == 2


async def test_a_job_that_cannot_be_started_is_told_of(bench: Bench) -> None:
    await bench.schedules.create(HOURLY, owner="")
    bench.jobs.full = True
    await bench.later(minutes=30)
    assert await result(bench) == "failed: too many are waiting"
    bench.jobs.full = False
    await bench.later(hours=1)
    assert await result(bench) == "started"


async def test_of_two_servers_one_fires(database: Database, bench: Bench) -> None:
    await bench.schedules.create(HOURLY, owner="")
    other = Schedules(ScheduleStore(database), bench.jobs, clock=bench.clock)
    bench.clock.advance(1800)
    await asyncio.gather(bench.schedules.fire(), other.fire(), bench.schedules.fire(), other.fire())
    assert len(bench.jobs.started) == 1


async def test_a_plan_is_changed_paused_run_by_hand_and_removed(bench: Bench) -> None:
    made = await bench.schedules.create(HOURLY, owner="")
    paused = await bench.schedules.replace(made.id, replace(HOURLY, enabled=False))
    assert paused.next_at is None
    await bench.later(hours=3)
    assert bench.jobs.started == []
    await bench.schedules.run_now(made.id)
    assert len(bench.jobs.started) == 1
    daily = await bench.schedules.replace(made.id, replace(HOURLY, cron="@daily", time_zone="Asia/Tokyo"))
    assert daily.next_at == datetime(2026, 1, 2, 15, tzinfo=UTC)
    await bench.schedules.delete(made.id)
    with pytest.raises(ScheduleNotFoundError):
        await bench.schedules.get(made.id)
    assert bench.trail.actions() == [
        "schedule.create",
        "schedule.change",
        "schedule.change",
        "schedule.delete",
    ]


async def test_it_runs_by_itself_and_wakes_for_what_is_new(bench: Bench) -> None:
    async with bench.schedules.opened():
        await asyncio.sleep(0)
        await bench.schedules.create(HOURLY, owner="")
        async with asyncio.timeout(20):
            while not bench.jobs.started:
                bench.clock.advance(60)
                await asyncio.sleep(0.01)


@pytest.mark.timeout(120)
def test_a_real_server_starts_real_jobs_by_the_clock(start_server: Callable[..., ServerProcess]) -> None:
    server = start_server("[jobs]\n")
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
        refused = client.post("/api/schedules", json={"cron": "* * * *", "command": "true"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "E_CRON")
        assert client.post("/api/schedules", json={"cron": "@daily", "command": "a | b"}).status_code == 422
        turns = {"retries": 2, "retry_seconds": 7.5, "priority": -3}
        plan = {"cron": "* * * * * *", "command": "echo by-the-clock", "env": {"A": "b"}, **turns}
        made = client.post("/api/schedules", json=plan)
        assert made.status_code == 201, made.text
        assert len(made.json()["next"]) == 10
        assert made.json()["env"] == ["A"], "values are not shown"
        assert {name: made.json()[name] for name in turns} == turns
        path = f"/api/schedules/{made.json()['id']}"
        while (seen := client.get(path).json())["last_job"] is None:
            assert seen["last_result"] in ("", "started")
        job = seen["last_job"]
        with client.stream(
            "GET", f"/api/scripts/{job}/logs", headers={"Accept": "text/event-stream"}
        ) as stream:
            assert any("by-the-clock" in line for line in stream.iter_lines())
        started = client.get(f"/api/scripts/{job}").json()
        assert started["labels"] == {"schedule": made.json()["id"]}
        assert {name: started[name] for name in turns} == turns
        times = client.get("/api/schedules/times", params={"cron": "@hourly", "time_zone": "Asia/Tokyo"})
        assert len(times.json()["next"]) == 10
        assert client.delete(path).status_code == 204
        assert client.get(path).status_code == 404
