"""Running one attempt of a job: its program, its output, its end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from runstead.capabilities.jobs.launching import Launcher
from runstead.capabilities.jobs.model import Job, Outcome, Status, outcome_of
from runstead.capabilities.jobs.output.keeping import LogKeeper
from runstead.capabilities.jobs.output.lines import Line
from runstead.capabilities.jobs.output.tee import LogTee
from runstead.capabilities.jobs.output.telling import Teller
from runstead.capabilities.jobs.ports import LogSink, Secrets
from runstead.capabilities.jobs.recording import event_of
from runstead.capabilities.jobs.secrets import mask_again, opened
from runstead.capabilities.jobs.store import JobStore
from runstead.kernel.clock import Clock
from runstead.kernel.errors import RunsteadError
from runstead.platform.execution.process import (
    STREAMS,
    KeptProcess,
    OnKeptOutput,
    Supervisor,
    end_of_kept,
    left_in_spool,
)

_log = structlog.get_logger("jobs")

#: Characters of a line that go to the log store and to the page of a job.
LINE_CHARS_SHOWN: Final = 1000
#: Seconds between tries to write down an end while the database is away.
STORE_AGAIN_SECONDS: Final = 1.0
#: Places that are written into the index at once: a line is found by reading so many MiB at most.
PLACES_AT_ONCE: Final = 4


@dataclass(slots=True)
class Active:
    """An attempt that this process runs."""

    tee: LogTee
    teller: Teller
    process: KeptProcess | None = None
    killed: bool = False
    #: Packs parts of its log that are full.
    packing: asyncio.Task[None] | None = None
    #: Set once its final state is written.
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def kill(self, signal_name: str, grace_seconds: float) -> None:
        self.killed = True
        if self.process is not None:
            await self.process.kill(signal_name, grace_seconds)


_Begin = Callable[[Job, Active], Awaitable[Outcome]]


class Attempts:
    """Runs attempts.

    Guarantee: a program begins only after the database has it as running, and an attempt is over only when all that it printed
    is in its log. If the server dies, the next one finds the program and goes on where this one stopped; nothing runs twice.
    """

    def __init__(
        self,
        *,
        launcher: Launcher,
        store: JobStore,
        logs: LogKeeper,
        supervisor: Supervisor,
        sink: LogSink,
        clock: Clock,
        secrets: Secrets | None,
    ) -> None:
        self.launcher = launcher
        self._store = store
        self.logs = logs
        self._supervisor = supervisor
        self._sink = sink
        self._clock = clock
        self._secrets = secrets
        self.active: dict[str, Active] = {}
        #: Job → variables that are written down nowhere; forgotten when it is over.
        self.given: dict[str, Mapping[str, str]] = {}
        #: The server stops: what cannot be done now is left to the next one.
        self.closing = False
        #: Called whenever one begins or ends.
        self.moved: Callable[[], None] = lambda: None

    async def run(self, job: Job) -> Job | None:
        """Run it; the job with its final state, None when it had one before."""
        await asyncio.to_thread(shutil.rmtree, self.launcher.keep(job), ignore_errors=True)
        return await self._tracked(job, self._start)

    async def go_on(self, job: Job) -> Job | None:
        """Go on with one that an earlier server began."""
        return await self._tracked(job, self._find)

    async def _tracked(self, job: Job, begin: _Begin) -> Job | None:
        keep = self.launcher.keep(job)
        tee = self.logs.tee(job, self._clock, state=keep / "state")
        active = self.active[job.id] = Active(tee, Teller(job, self._sink, self._clock))
        self.moved()
        try:
            outcome = await self._outcome(job, active, begin)
            finished = await self._finish(job, outcome, tee)
        finally:
            del self.active[job.id]
            active.ended.set()
            self.moved()
        await asyncio.to_thread(shutil.rmtree, keep, ignore_errors=True)
        if finished is None or not finished.will_retry:
            self.given.pop(job.id, None)
        return finished

    async def _outcome(self, job: Job, active: Active, begin: _Begin) -> Outcome:
        try:
            return await begin(job, active)
        except OSError as error:
            # A full disk, for one: nothing that a traceback would tell.
            _log.error("the output of a job could not be kept", job_id=job.id, error=str(error))
            return Outcome(status=Status.FAILED, reason=f"its output could not be kept: {error.strerror}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this attempt only
            _log.error("job failed in the server", job_id=job.id, exc_info=error)
            return Outcome(status=Status.FAILED, reason=_reason(error))
        finally:
            await self._close_log(job, active)

    async def _close_log(self, job: Job, active: Active) -> None:
        try:
            active.teller.tell(await active.tee.close())
        except OSError as error:
            # The disk is full, or gone: what it has of the log is all there is, and the job has ended nevertheless.
            _log.error("the log of a job is cut short", job_id=job.id, error=str(error))
        active.teller.close()
        await self._index_places(job, active.tee)
        if active.packing is not None:
            # Two that pack the same part would be one too many.
            await asyncio.wait({active.packing})

    async def _start(self, job: Job, active: Active) -> Outcome:
        given = await opened(job, self._secrets, self.given.get(job.id))
        active.tee.mask = given.mask
        launch = self.launcher.launch(job, given.env, given.secrets)
        process = await self._supervisor.start_kept(launch, on_output=self._outputs(job, active))
        active.process = process
        try:
            await active.tee.open()
            begun = await self._store.begin(
                job.id, at=process.started_at, pid=process.pid, pid_ticks=process.identity.ticks
            )
        except BaseException:
            await process.kill(grace_seconds=0)
            await process.wait()
            raise
        if not begun or active.killed:
            active.killed = True
            await process.kill(grace_seconds=0)
        process.begin()
        return outcome_of(await process.wait(), killed=active.killed)

    async def _find(self, job: Job, active: Active) -> Outcome:
        launch = self.launcher.launch(job, {})
        try:
            active.tee.mask = await mask_again(job, self._secrets)
            await active.tee.open()
        except BaseException:
            # It must not run on unseen, and its output cannot be shown.
            await self._supervisor.end_kept(launch)
            raise
        active.process = await self._supervisor.find_kept(
            launch, on_output=self._outputs(job, active), positions=active.tee.positions
        )
        if active.process is not None:
            _log.info("found a job again", job_id=job.id, pid=active.process.pid)
            if active.killed:
                await active.process.kill(grace_seconds=0)
            return outcome_of(await active.process.wait(), killed=active.killed)
        for name in STREAMS:
            rest, end = await asyncio.to_thread(
                left_in_spool, self.launcher.keep(job), name, active.tee.positions[name]
            )
            active.teller.tell(await active.tee.take(name, rest, end))
        return await asyncio.to_thread(_end_while_away, self.launcher.keep(job))

    def _outputs(self, job: Job, active: Active) -> dict[str, OnKeptOutput]:
        def taking(name: str) -> OnKeptOutput:
            async def take(chunk: bytes, position: int) -> int:
                active.teller.tell(await active.tee.take(name, chunk, position))
                if len(active.tee.new_places) >= PLACES_AT_ONCE:
                    await self._index_places(job, active.tee)
                if active.tee.full and (active.packing is None or active.packing.done()):
                    active.packing = asyncio.create_task(self._pack_parts(job, active.tee))
                return active.tee.held_back(name)

            return take

        return {name: taking(name) for name in STREAMS}

    async def _index_places(self, job: Job, tee: LogTee) -> None:
        found, tee.new_places = tee.new_places, []
        if found:
            try:
                await self.logs.index.of(job.id, job.attempt).add(found)
            except Exception as error:  # noqa: BLE001 - without them a log is read from further ahead, no more
                _log.warning("places of a log could not be kept", job_id=job.id, exc_info=error)

    async def _pack_parts(self, job: Job, tee: LogTee) -> None:
        full, tee.full = tee.full, []
        # Before it is told where they are now.
        await self._index_places(job, tee)
        try:
            await self.logs.pack_parts(job, full)
        except Exception as error:  # noqa: BLE001 - it is tried again when the job is over
            _log.warning("parts of a log could not be packed", job_id=job.id, exc_info=error)

    async def _finish(self, job: Job, outcome: Outcome, tee: LogTee) -> Job | None:
        while True:
            try:
                return await self._store.finish(
                    job.id,
                    outcome,
                    at=self._clock.now(),
                    lines=tee.lines,
                    last_line=shown(tee.last),
                    event=event_of if self.launcher.settings.record else None,
                )
            except Exception as error:
                _log.error("the end of a job could not be written down", job_id=job.id, exc_info=error)
                if self.closing:
                    # The next server finds how it ended in its folder.
                    raise
                await self._clock.sleep(STORE_AGAIN_SECONDS)


def shown(line: Line | None) -> str | None:
    """A line where there is little room."""
    return None if line is None else line.text[:LINE_CHARS_SHOWN]


def _end_while_away(keep: Path) -> Outcome:
    end = end_of_kept(keep)
    if end is None:
        return Outcome(status=Status.LOST, reason="the server went away while it ran")
    code, signal_name = end
    status = Status.COMPLETED if code == 0 else Status.FAILED
    return Outcome(
        status=status, exit_code=code, signal=signal_name, reason="it ended while the server was away"
    )


def _reason(error: Exception) -> str:
    return (
        error.message if isinstance(error, RunsteadError) else "the server could not run it; its log says why"
    )
