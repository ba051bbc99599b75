"""The use cases: start a command, watch it, stop it, run it again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import structlog

from runstead.capabilities.jobs.attempts import Attempts, shown
from runstead.capabilities.jobs.errors import JobNotFoundError, JobStateError, QueueFullError
from runstead.capabilities.jobs.model import RETRY_SECONDS_MAX, Job, Outcome, Status
from runstead.capabilities.jobs.newjob import NewJob, Preparer, refuse_given
from runstead.capabilities.jobs.output.lines import Line, Missed
from runstead.capabilities.jobs.settings import JobsSettings
from runstead.capabilities.jobs.store import JobStore
from runstead.capabilities.jobs.turns import Turns
from runstead.kernel.background import background, first_of
from runstead.kernel.clock import Clock, rfc3339
from runstead.kernel.errors import UnavailableError
from runstead.kernel.ids import is_uuid

_log = structlog.get_logger("jobs")

#: Seconds between TERM and KILL when a kill does not say.
GRACE_SECONDS_DEFAULT: Final = 5.0
#: Seconds between two looks at a job that waits, when nobody says that it has moved.
LOOK_SECONDS: Final = 1.0


class JobsService:
    """Runs commands as jobs.

    Guarantee: a job that was accepted is on disk before the answer; each attempt gets exactly one final state; nothing is
    shown as running that is not. After a crash, what still runs is found again, what is gone is declared lost, what was
    queued goes on.
    Why the queue is the table: it survives, and one place cannot contradict another.
    """

    def __init__(
        self,
        *,
        settings: JobsSettings,
        store: JobStore,
        preparer: Preparer,
        attempts: Attempts,
        shutdown_grace_seconds: float,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._attempts = attempts
        self._logs = attempts.logs
        self._grace = shutdown_grace_seconds
        self._clock = clock
        self._turns = Turns(settings.concurrency, settings.label_concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        #: Set and made anew whenever a job begins or ends.
        self._moved = asyncio.Event()
        self._packing: dict[str, asyncio.Task[None]] = {}
        attempts.moved = self._announce
        self.prepare = preparer.prepare

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Go on with what an earlier server left, run; at the end wait for what runs, then kill it."""
        for job in await self._store.with_status(Status.RUNNING):
            self._schedule(job, runs_already=True)
        for job in await self._store.with_status(Status.QUEUED):
            self._schedule(job)
        for job in await self._store.waiting_to_retry():
            await self._try_again(job)
        async with background(self._clear_up(), "jobs-clear-up"):
            try:
                yield
            finally:
                await self._close()

    async def _clear_up(self) -> None:
        """What an earlier server had no time for: the folders and logs of attempts that had ended when it did."""
        for keep in await asyncio.to_thread(self._attempts.launcher.kept):
            job_id, _, attempt = keep.name.partition(".")
            job = await self._store.get(job_id)
            if job is None or _has_ended(job, int(attempt)):
                await asyncio.to_thread(shutil.rmtree, keep, ignore_errors=True)
        for path in await asyncio.to_thread(lambda: sorted(self._logs.files.folder.glob("*/script_*.log"))):
            job_id, _, attempt = path.stem.removeprefix("script_").partition(".")
            number = int(attempt) if attempt.isdigit() else 1
            job = await self._store.get(job_id) if is_uuid(job_id) else None
            if job is not None and _has_ended(job, number):
                await self._logs.pack_whole(job, number)

    async def _close(self) -> None:
        self._closing = self._attempts.closing = True
        active = self._attempts.active
        waiting = [task for task in self._tasks if task.get_name() not in active]
        for task in waiting:
            task.cancel()
        running = self._tasks.difference(waiting)
        if running:
            await asyncio.wait(running, timeout=self._grace)
        await asyncio.gather(*(one.kill("TERM", GRACE_SECONDS_DEFAULT) for one in [*active.values()]))
        await asyncio.gather(*self._tasks, *self._packing.values(), return_exceptions=True)

    async def start(self, wanted: NewJob) -> Job:
        """Take a job.

        :raises CommandRefusedError: the command or its folder is not one that can be run.
        :raises QueueFullError: too many are waiting.
        """
        if self._closing:
            raise UnavailableError("the server is stopping")
        job = await self.prepare(wanted)
        if not await self._store.insert(job, queue_limit=self._settings.queue_limit):
            raise QueueFullError(
                f"{self._settings.queue_limit} jobs are waiting already (jobs.queue_limit)",
                headers={"Retry-After": "10"},
            )
        if wanted.given:
            self._attempts.given[job.id] = wanted.given
        self._schedule(job)
        return job

    async def get(self, job_id: str) -> Job:
        """One job, with what its running attempt has said so far.

        :raises JobNotFoundError: there is none.
        """
        job = await self._store.get(job_id)
        if job is None:
            raise JobNotFoundError(f"there is no job {job_id!r}")
        active = self._attempts.active.get(job_id)
        if active is None or job.status is not Status.RUNNING:
            return job
        return replace(job, lines=active.tee.lines, last_line=shown(active.tee.last))

    async def attempts(self, job_id: str) -> list[Mapping[str, Any]]:
        return await self._store.attempts(job_id)

    async def page(
        self, *, status: Status | None, limit: int, cursor: str | None
    ) -> tuple[list[Job], str | None]:
        """A page, the newest first, and the cursor of the next one."""
        rows = await self._store.page(status=status, limit=limit + 1, before=cursor)
        return rows[:limit], rows[limit - 1].id if len(rows) > limit else None

    async def follow(
        self, job_id: str, *, seq: int, attempt: int | None = None
    ) -> AsyncGenerator[list[Line] | Missed]:
        """Every line of an attempt (default: the newest) from ``seq`` on; while it runs, as they come."""
        job, active = await self.get(job_id), self._attempts.active.get(job_id)
        while job.status is Status.QUEUED and active is None and attempt in (None, job.attempt):
            await first_of(self._clock.sleep(LOOK_SECONDS), self._moved.wait())
            job, active = await self.get(job_id), self._attempts.active.get(job_id)
        lines: AsyncIterator[list[Line] | Missed]
        if active is not None and attempt in (None, job.attempt):
            lines = active.tee.follow(seq)
        else:
            lines = self._logs.follow(job, seq, attempt)
        async for found in lines:
            yield found
        if active is not None:
            await active.ended.wait()

    async def count_lines(self, job: Job, attempt: int | None = None) -> int:
        """Lines of an attempt so far."""
        active = self._attempts.active.get(job.id)
        if attempt in (None, job.attempt):
            return active.tee.lines if active is not None else job.lines
        for row in await self._store.attempts(job.id):
            if row["attempt"] == attempt:
                return int(row["lines"])
        raise JobNotFoundError(f"job {job.id} has no attempt {attempt}")

    async def first_since(self, job: Job, at: float, attempt: int | None = None) -> int | None:
        """The number of the first line that is not older than ``at`` (seconds since 1970)."""
        return await self._logs.seq_at(job, at, attempt)

    async def kill(self, job_id: str, *, signal_name: str, grace_seconds: float) -> Job:
        """End a queued or running job. Returns once it has its final state.

        :raises JobStateError: it has ended already.
        """
        job = await self.get(job_id)
        if job.status.is_final:
            raise JobStateError(f"the job has ended already: {job.status}")
        await self._store.asked_to_end(job_id, signal_name)
        active = self._attempts.active.get(job_id)
        task = next((task for task in self._tasks if task.get_name() == job_id), None)
        if active is not None:
            await active.kill(signal_name, grace_seconds)
            await active.ended.wait()
        else:
            killed = Outcome(status=Status.KILLED, reason="killed before it started")
            await self._store.finish(job_id, killed, at=self._clock.now())
            self._attempts.given.pop(job_id, None)
            if task is not None and job_id not in self._attempts.active:
                task.cancel()
                await asyncio.wait({task})
        return await self.get(job_id)

    async def restart(self, job_id: str) -> Job:
        """A new attempt of a job that has ended.

        :raises JobStateError: it has not ended.
        """
        refuse_given((await self.get(job_id)).env)
        job = await self._store.again(job_id, retried=0)
        if job is None:
            raise JobStateError("the job has not ended; kill it first")
        self._schedule(job)
        return job

    async def delete(self, job_id: str) -> None:
        """Remove a job that has ended, and its logs.

        :raises JobStateError: it has not ended.
        """
        job = await self.get(job_id)
        if not await self._store.delete(job_id):
            raise JobStateError("the job has not ended; kill it first")
        await self.forget(job.id, rfc3339(job.created_at), job.attempt)

    async def forget(self, job_id: str, created_at: str, attempts: int) -> None:
        """Remove what the disk has of a job."""
        if (packing := self._packing.get(job_id)) is not None:
            await asyncio.wait({packing})
        await asyncio.to_thread(self._logs.files.remove, job_id, created_at, attempts)
        await asyncio.to_thread(shutil.rmtree, self.files_of(job_id), ignore_errors=True)

    def files_of(self, job_id: str) -> Path:
        """The folder of files that were handed to a job; there is none without."""
        return self._attempts.launcher.files / job_id

    async def health(self) -> Mapping[str, Any]:
        """For the health page."""
        running = len(self._attempts.active)
        return {"running": running, "waiting": len(self._tasks) - running}

    def _schedule(self, job: Job, delay_seconds: float = 0, *, runs_already: bool = False) -> None:
        task = asyncio.create_task(self._run(job, delay_seconds, runs_already=runs_already), name=job.id)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job, delay_seconds: float, *, runs_already: bool) -> None:
        if delay_seconds:
            await self._clock.sleep(delay_seconds)
        async with self._turns.turn(job, runs_already=runs_already):
            if self._closing:
                return
            run = self._attempts.go_on if runs_already else self._attempts.run
            ended = await run(job)
        if ended is not None and ended.will_retry and not self._closing:
            await self._try_again(ended)
        if not self._closing:
            # Not in this task: the job is over.
            packing = self._packing[job.id] = asyncio.create_task(self._logs.pack_whole(job))
            packing.add_done_callback(lambda _: self._packing.pop(job.id, None))

    async def _try_again(self, failed: Job) -> None:
        again = await self._store.again(failed.id, retried=failed.retried + 1)
        if again is not None:
            self._schedule(again, min(failed.retry_seconds * 2**failed.retried, RETRY_SECONDS_MAX))

    def _announce(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


def _has_ended(job: Job, attempt: int) -> bool:
    return job.status.is_final or attempt < job.attempt
