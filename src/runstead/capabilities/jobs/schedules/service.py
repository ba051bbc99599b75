"""Starting jobs by the clock."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

import structlog

from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.newjob import NewJob
from runstead.capabilities.jobs.schedules.cron import next_time
from runstead.capabilities.jobs.schedules.model import Plan, Schedule
from runstead.capabilities.jobs.schedules.store import ScheduleStore
from runstead.kernel.background import background, first_of
from runstead.kernel.clock import Clock
from runstead.kernel.errors import NotFoundError, RunsteadError
from runstead.kernel.ids import new_id
from runstead.platform.identity.asking import on_behalf_of

#: Seconds that a time may be late and still counts as come in time; later, it was missed.
LATE_SECONDS_MAX: Final = 60.0
#: Seconds between two looks while a run waits for the one before, and the longest sleep: clocks are set, other nodes add.
LOOK_SECONDS: Final = 2.0
SLEEP_SECONDS_MAX: Final = 30.0
#: Seconds that a run has to end when the next one takes its place.
KILL_GRACE_SECONDS: Final = 5.0

_log = structlog.get_logger("schedules")


class Starter(Protocol):
    """What starts, knows and ends jobs."""

    async def prepare(self, wanted: NewJob) -> Job: ...
    async def start(self, wanted: NewJob) -> Job: ...
    async def get(self, job_id: str) -> Job: ...
    async def kill(self, job_id: str, *, signal_name: str, grace_seconds: float) -> Job: ...


class Schedules:
    """Fires schedules.

    Guarantee: of several servers over one database one fires each time, once. What a fall interrupts between taking a time and
    starting its job is not run again: a command that runs twice does more harm than one that is left out, and is told.
    """

    def __init__(self, store: ScheduleStore, jobs: Starter, *, clock: Clock) -> None:
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self._changed = asyncio.Event()

    async def create(self, plan: Plan, *, owner: str) -> Schedule:
        """Take a plan.

        :raises CommandRefusedError: the command is not one that can be run.
        :raises CronError: it has no time.
        :raises TooManySchedulesError: there are too many.
        """
        await self._jobs.prepare(_wanted(plan, owner, ""))
        schedule_id, now = new_id(), self._clock.now()
        await self._store.insert(schedule_id, plan, owner=owner, at=now, next_at=self._first(plan, now))
        self._changed.set()
        return await self.get(schedule_id)

    async def replace(self, schedule_id: str, plan: Plan) -> Schedule:
        """Another plan; its times count from now."""
        await self._jobs.prepare(_wanted(plan, "", schedule_id))
        await self._store.replace(schedule_id, plan, next_at=self._first(plan, self._clock.now()))
        self._changed.set()
        return await self.get(schedule_id)

    async def enable(self, schedule_id: str, *, enabled: bool) -> Schedule:
        """Pause it, or go on with the times that come."""
        plan = replace((await self.get(schedule_id)).plan, enabled=enabled)
        next_at = self._first(plan, self._clock.now())
        await self._store.enable(schedule_id, enabled=enabled, next_at=next_at)
        self._changed.set()
        return await self.get(schedule_id)

    async def delete(self, schedule_id: str) -> None:
        """Start it no more. A job that runs goes on."""
        await self._store.delete(schedule_id)

    async def get(self, schedule_id: str) -> Schedule:
        """:raises ScheduleNotFoundError: there is none."""
        return await self._store.get(schedule_id)

    async def all(self) -> list[Schedule]:
        """Every schedule, the oldest first."""
        return await self._store.all()

    async def run_now(self, schedule_id: str) -> Job:
        """Start it once, beside its times."""
        schedule = await self.get(schedule_id)
        job = await self._start(schedule)
        await self._store.note(schedule.id, "started by hand", job=job.id)
        return job

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Fire while the context is open."""
        return background(self._run(), "schedules")

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            try:
                seconds = await self.fire()
            except Exception:  # noqa: BLE001 - it is told, and the next look is as good
                _log.exception("the schedules could not be looked at")
                seconds = LOOK_SECONDS
            await first_of(self._clock.sleep(seconds), self._changed.wait())

    async def fire(self) -> float:
        """Fire what is due; seconds until it should be looked again."""
        now, waiting = self._clock.now(), False
        for schedule in await self._store.due(now):
            try:
                waiting |= await self._due(schedule, now)
            except Exception as error:  # noqa: BLE001 - one schedule must not stop the others
                _log.exception("a schedule could not be fired", schedule=schedule.id)
                await self._store.note(schedule.id, f"failed: {getattr(error, 'message', 'see the log')}")
        if waiting:
            return LOOK_SECONDS
        earliest = await self._store.earliest()
        if earliest is None:
            return SLEEP_SECONDS_MAX
        return min(max(0.0, (earliest - self._clock.now()).total_seconds()), SLEEP_SECONDS_MAX)

    async def _due(self, schedule: Schedule, now: datetime) -> bool:
        """Whether a run waits for the one before to end."""
        if schedule.next_at is None or schedule.next_at > now:
            return not await self._after_wait(schedule)
        late = (now - schedule.next_at).total_seconds()
        if not await self._store.take(
            schedule, next_at=next_time(schedule.plan.cron, schedule.plan.time_zone, now)
        ):
            return False
        if late > LATE_SECONDS_MAX and schedule.plan.missed == "skip":
            await self._store.note(schedule.id, f"skipped: missed by {late:.0f} s")
            return False
        if not await self._is_running(schedule):
            await self._start_and_note(schedule)
            return False
        overlap = schedule.plan.overlap
        if overlap == "queue":
            await self._store.note(schedule.id, "waits for the run before", waiting=True)
            return True
        if overlap == "kill" and schedule.last_job is not None:
            with contextlib.suppress(RunsteadError):
                await self._jobs.kill(schedule.last_job, signal_name="TERM", grace_seconds=KILL_GRACE_SECONDS)
            await self._start_and_note(schedule)
            return False
        await self._store.note(schedule.id, "skipped: the run before has not ended")
        return False

    async def _after_wait(self, schedule: Schedule) -> bool:
        """Start what has waited, if it may now."""
        if await self._is_running(schedule):
            return False
        await self._start_and_note(schedule)
        return True

    async def _start_and_note(self, schedule: Schedule) -> None:
        try:
            job = await self._start(schedule)
        except RunsteadError as error:
            # A full queue, a command that is allowed no more: told where people look.
            _log.warning("a scheduled job could not be started", schedule=schedule.id, error=error.message)
            await self._store.note(schedule.id, f"failed: {error.message}")
            return
        await self._store.note(schedule.id, "started", job=job.id)

    async def _start(self, schedule: Schedule) -> Job:
        with on_behalf_of(schedule.owner or "server"):
            return await self._jobs.start(_wanted(schedule.plan, schedule.owner, schedule.id))

    async def _is_running(self, schedule: Schedule) -> bool:
        if schedule.last_job is None:
            return False
        try:
            job = await self._jobs.get(schedule.last_job)
        except NotFoundError:
            return False
        return not job.status.is_final

    @staticmethod
    def _first(plan: Plan, now: datetime) -> datetime | None:
        found = next_time(plan.cron, plan.time_zone, now)
        return found if plan.enabled else None


def _wanted(plan: Plan, owner: str, schedule_id: str) -> NewJob:
    return NewJob(
        command=plan.command,
        name=plan.name,
        timeout_seconds=plan.timeout_seconds,
        env=plan.env,
        working_dir=plan.working_dir,
        labels={**plan.labels, "schedule": schedule_id},
        retries=plan.retries,
        retry_seconds=plan.retry_seconds,
        priority=plan.priority,
        owner=owner,
        secrets_of=plan.secrets_of,
    )
