"""The use cases: start a command, watch it, stop it, run it again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import structlog

from runstead.capabilities.jobs.command import split_command
from runstead.capabilities.jobs.errors import (
    CommandRefusedError,
    JobNotFoundError,
    JobStateError,
    NoSuchProgramError,
    QueueFullError,
)
from runstead.capabilities.jobs.logfiles import LogFiles
from runstead.capabilities.jobs.model import TIMEOUT_SECONDS_DEFAULT, Job, Outcome, Status, outcome_of
from runstead.capabilities.jobs.newjob import NewJob, is_folder, name_of, refuse_variables
from runstead.capabilities.jobs.ports import LogSink, Secrets
from runstead.capabilities.jobs.processes import end_group, is_same, start_ticks
from runstead.capabilities.jobs.recording import event_of
from runstead.capabilities.jobs.secrets import opened
from runstead.capabilities.jobs.settings import JobsSettings
from runstead.capabilities.jobs.store import JobStore
from runstead.capabilities.jobs.tee import Line, LogTee, Missed, read_lines
from runstead.kernel.clock import Clock
from runstead.kernel.errors import RunsteadError, UnavailableError
from runstead.kernel.ids import new_id
from runstead.kernel.limits import MIB
from runstead.platform.execution.process import (
    Launch,
    ProcessLimits,
    RunningProcess,
    SandboxMode,
    StartError,
    Supervisor,
)

_log = structlog.get_logger("jobs")

#: Variables that jobs get without being named in the settings.
PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TZ")
#: Characters of a line that go to the log store and to the page of a job.
LINE_CHARS_SHOWN: Final = 1000
#: Seconds between TERM and KILL when a kill does not say.
GRACE_SECONDS_DEFAULT: Final = 5.0
#: Seconds before the first retry; doubled each time, up to the maximum.
RETRY_SECONDS: Final = 1.0
RETRY_SECONDS_MAX: Final = 300.0


@dataclass(slots=True)
class _Active:
    """An attempt that this process runs."""

    tee: LogTee
    process: RunningProcess | None = None
    killed: bool = False
    #: Set once its final state is written.
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class JobsService:
    """Runs commands as jobs.

    Guarantee: a job that was accepted is on disk before the answer; each attempt gets exactly one final state; nothing is
    shown as running that is not. After a crash, what was running is ended where it still lives and declared lost; what was
    queued goes on.
    Why the queue is the table: it survives, and one place cannot contradict another.
    """

    def __init__(
        self,
        *,
        settings: JobsSettings,
        store: JobStore,
        supervisor: Supervisor,
        sandbox: SandboxMode,
        logs: LogSink,
        log_dir: Path,
        base_dir: Path,
        hidden: tuple[Path, ...],
        shutdown_grace_seconds: float,
        clock: Clock,
        environ: Mapping[str, str],
        secrets: Secrets | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._supervisor = supervisor
        self._sandbox = sandbox
        self._logs = logs
        self.log_files = LogFiles(log_dir)
        self._base_dir = settings.working_dir or base_dir
        self._hidden = hidden
        self._grace = shutdown_grace_seconds
        self._clock = clock
        self._environ = environ
        self.secrets = secrets
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._active: dict[str, _Active] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Recover what a crash left, run; at the end wait for what runs, then kill it."""
        await self._recover()
        try:
            yield
        finally:
            await self._close()

    async def _recover(self) -> None:
        for job in await self._store.with_status(Status.RUNNING):
            if job.pid is not None and is_same(job.pid, job.pid_ticks):
                end_group(job.pid)
            last = None
            async for line in read_lines(self.log_files.path(job)):
                last = line
            outcome = Outcome(status=Status.LOST, reason="the server went away while it ran")
            await self._finish(job.id, outcome, last=last)
            _log.warning("job lost", job_id=job.id, pid=job.pid)
        for job in await self._store.with_status(Status.QUEUED):
            self._schedule(job)

    async def _close(self) -> None:
        self._closing = True
        waiting = [task for task in self._tasks if task.get_name() not in self._active]
        for task in waiting:
            task.cancel()
        running = self._tasks.difference(waiting)
        if running:
            await asyncio.wait(running, timeout=self._grace)
        await asyncio.gather(
            *(self._kill(active, "TERM", GRACE_SECONDS_DEFAULT) for active in [*self._active.values()])
        )
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
        self._schedule(job)
        return job

    async def prepare(self, wanted: NewJob) -> Job:
        """What :meth:`start` would take, with the same errors but that of a full queue; nothing is started."""
        argv = split_command(wanted.command, self._settings)
        refuse_variables(wanted.env or {})
        folder = (self._base_dir / wanted.working_dir) if wanted.working_dir else self._base_dir
        if not await asyncio.to_thread(is_folder, folder, self._hidden):
            raise NoSuchProgramError(
                f"{str(folder)[:200]!r} is not a folder for jobs", details={"field": "working_dir"}
            )
        timeout = wanted.timeout_seconds or float(
            min(TIMEOUT_SECONDS_DEFAULT, self._settings.timeout_max_seconds)
        )
        if timeout > self._settings.timeout_max_seconds:
            raise CommandRefusedError(
                f"the timeout is {timeout:g} s; allowed: {self._settings.timeout_max_seconds} s (jobs.timeout_max_seconds)",
                details={"field": "timeout"},
            )
        job = Job(
            id=new_id(),
            command=wanted.command,
            argv=argv,
            name=wanted.name or name_of(argv, shell=self._settings.allow_shell),
            status=Status.QUEUED,
            created_at=self._clock.now(),
            timeout_seconds=timeout,
            working_dir=str(folder),
            env=dict(wanted.env or {}),
            labels=dict(wanted.labels or {}),
            retries=wanted.retries,
            owner=wanted.owner,
        )
        try:
            self._supervisor.check(self._launch(job, job.env))
        except StartError as error:
            raise NoSuchProgramError(error.message, details={"field": "command"}) from error
        return job

    async def get(self, job_id: str) -> Job:
        """One job, with what its running attempt has said so far.

        :raises JobNotFoundError: there is none.
        """
        job = await self._store.get(job_id)
        if job is None:
            raise JobNotFoundError(f"there is no job {job_id!r}")
        active = self._active.get(job_id)
        if active is None or job.status is not Status.RUNNING:
            return job
        return replace(job, lines=active.tee.lines, last_line=_shown(active.tee.last))

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
    ) -> AsyncGenerator[Line | Missed]:
        """Every line of an attempt (default: the newest) from ``seq`` on; while it runs, as they come."""
        job = await self.get(job_id)
        while job.status is Status.QUEUED and job_id not in self._active:
            await self._clock.sleep(0.05)
            job = await self.get(job_id)
        active = self._active.get(job_id)
        lines: AsyncIterator[Line | Missed]
        if active is not None and attempt in (None, job.attempt):
            lines = active.tee.follow(seq)
        else:
            lines = read_lines(self.log_files.path(job, attempt), seq)
        async for line in lines:
            yield line
        if active is not None:
            await active.ended.wait()

    async def count_lines(self, job: Job, attempt: int | None = None) -> int:
        """Lines of an attempt so far."""
        active = self._active.get(job.id)
        if attempt in (None, job.attempt):
            return active.tee.lines if active is not None else job.lines
        for row in await self._store.attempts(job.id):
            if row["attempt"] == attempt:
                return int(row["lines"])
        raise JobNotFoundError(f"job {job.id} has no attempt {attempt}")

    async def kill(self, job_id: str, *, signal_name: str, grace_seconds: float) -> Job:
        """End a queued or running job. Returns once it has its final state.

        :raises JobStateError: it has ended already.
        """
        job = await self.get(job_id)
        if job.status.is_final:
            raise JobStateError(f"the job has ended already: {job.status}")
        await self._store.asked_to_end(job_id, signal_name)
        active = self._active.get(job_id)
        task = next((task for task in self._tasks if task.get_name() == job_id), None)
        if active is not None:
            await self._kill(active, signal_name, grace_seconds)
        else:
            await self._finish(job_id, Outcome(status=Status.KILLED, reason="killed before it started"))
            if task is not None and job_id not in self._active:
                task.cancel()
        if task is not None:
            await asyncio.wait({task})
        return await self.get(job_id)

    async def restart(self, job_id: str) -> Job:
        """A new attempt of a job that has ended.

        :raises JobStateError: it has not ended.
        """
        await self.get(job_id)
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
        for attempt in range(1, job.attempt + 1):
            await asyncio.to_thread(self.log_files.path(job, attempt).unlink, missing_ok=True)

    def figures(self) -> Mapping[str, int]:
        """For the health page."""
        return {"running": len(self._active), "waiting": len(self._tasks) - len(self._active)}

    def _schedule(self, job: Job, delay_seconds: float = 0) -> None:
        task = asyncio.create_task(self._run(job, delay_seconds), name=job.id)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job, delay_seconds: float) -> None:
        if delay_seconds:
            await self._clock.sleep(delay_seconds)
        async with self._slots:
            if self._closing:
                return
            active = self._active[job.id] = _Active(LogTee(self.log_files.path(job), self._clock))
            try:
                ended = await self._run_now(job, active)
            finally:
                del self._active[job.id]
                active.ended.set()
        if (
            ended is not None
            and ended.status is Status.FAILED
            and ended.retried < ended.retries
            and not self._closing
        ):
            again = await self._store.again(job.id, retried=ended.retried + 1)
            if again is not None:
                self._schedule(again, min(RETRY_SECONDS * 2**ended.retried, RETRY_SECONDS_MAX))

    async def _run_now(self, job: Job, active: _Active) -> Job | None:
        try:
            outcome = await self._attempt(job, active)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this attempt only
            _log.error("job failed in the server", job_id=job.id, exc_info=error)
            outcome = Outcome(status=Status.FAILED, reason=_reason(error))
        return await self._finish(job.id, outcome, last=active.tee.last, lines=active.tee.lines)

    async def _attempt(self, job: Job, active: _Active) -> Outcome:
        await active.tee.open()

        async def on_stdout(chunk: bytes) -> None:
            self._tell(job, await active.tee.write(chunk, is_error=False))

        async def on_stderr(chunk: bytes) -> None:
            self._tell(job, await active.tee.write(chunk, is_error=True))

        try:
            env, active.tee.mask = await opened(job, self.secrets)
            process = await self._supervisor.start(
                self._launch(job, env), on_stdout=on_stdout, on_stderr=on_stderr
            )
            active.process = process
            ticks = start_ticks(process.pid) or 0
            begun = await self._store.begin(job.id, at=process.started_at, pid=process.pid, pid_ticks=ticks)
            if not begun or active.killed:
                active.killed = True
                await process.kill(grace_seconds=0)
            return outcome_of(await process.wait(), killed=active.killed)
        finally:
            self._tell(job, await active.tee.close())

    def _launch(self, job: Job, env: Mapping[str, str]) -> Launch:
        settings = self._settings
        passed_on = {
            name: self._environ[name] for name in (*PASSED_ON, *settings.env) if name in self._environ
        }
        return Launch(
            argv=job.argv,
            working_dir=Path(job.working_dir),
            env={"PATH": os.defpath, **passed_on, **env, "RUNSTEAD_JOB_ID": job.id},
            limits=ProcessLimits(
                wall_seconds=job.timeout_seconds,
                cpu_seconds=settings.cpu_seconds,
                memory_bytes=settings.memory_mb * MIB if settings.memory_mb else None,
                open_files=settings.open_files,
                network=settings.network,
            ),
            writable=(Path(job.working_dir),),
            hidden=self._hidden,
            sandbox=self._sandbox,
        )

    async def _kill(self, active: _Active, signal_name: str, grace_seconds: float) -> None:
        active.killed = True
        if active.process is not None:
            await active.process.kill(signal_name, grace_seconds)

    async def _finish(
        self, job_id: str, outcome: Outcome, *, last: Line | None = None, lines: int | None = None
    ) -> Job | None:
        return await self._store.finish(
            job_id,
            outcome,
            at=self._clock.now(),
            lines=lines if lines is not None else (last.seq if last else 0),
            last_line=_shown(last),
            event=event_of if self._settings.record else None,
        )

    def _tell(self, job: Job, lines: list[Line]) -> None:
        for line in lines:
            if text := line.text.strip():
                self._logs.emit(
                    source=f"job:{job.name}"[:64],
                    level="warn" if line.is_error else "info",
                    message=text,
                    at=self._clock.now(),
                    context={"job_id": job.id, "attempt": job.attempt, "seq": line.seq},
                )


def _shown(line: Line | None) -> str | None:
    return None if line is None else line.text[:LINE_CHARS_SHOWN]


def _reason(error: Exception) -> str:
    return (
        error.message if isinstance(error, RunsteadError) else "the server could not run it; its log says why"
    )
