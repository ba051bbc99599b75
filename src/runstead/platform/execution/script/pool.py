"""The workers together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from runstead.kernel.errors import UnavailableError
from runstead.platform.execution.process import SandboxMode, SandboxRequiredError, sandbox_status
from runstead.platform.execution.script.errors import (
    ScriptBusyError,
    ScriptCrashError,
    ScriptError,
    ScriptMemoryError,
    ScriptSyntaxError,
    ScriptThrewError,
    ScriptTimeoutError,
)
from runstead.platform.execution.script.model import Invocation, Outcome, Program
from runstead.platform.execution.script.protocol import Done, Line
from runstead.platform.execution.script.worker_process import OVERRUN_SECONDS, HostCalls, WorkerProcess

#: Invocations that wait for a worker; further ones are refused at once.
WAITING_MAX: Final = 1000
#: Invocations that one worker has open, of which all but one wait for the server.
OPEN_MAX: Final = 64
#: Invocations after which a worker is replaced, so that what leaks in it cannot add up.
SERVED_MAX: Final = 20_000
#: Seconds that a new worker may take to answer its first message.
START_SECONDS_MAX: Final = 10.0
#: Seconds before a worker is started again that could not be; doubled up to the maximum.
RESTART_SECONDS: Final = 0.1
RESTART_SECONDS_MAX: Final = 5.0

_log = structlog.get_logger("script")


async def _no_calls(name: str, _arguments: str) -> str:
    raise UnavailableError(f"{name} is not to be had here")


class ScriptPool:
    """Runs scripts in worker processes.

    Guarantee: an invocation sees a context of its own; one that spins or eats its memory fails alone. One that cannot be
    interrupted is ended with its worker, which is replaced by a spare; of those that waited in it for the server, the repeatable
    ones are run again elsewhere, and so are all that had not begun. Who waits for a worker is served in order. Why processes: the
    boundary that is trusted is the kernel's, not the engine's.
    """

    def __init__(
        self,
        *,
        workers: int,
        engine: str = "quickjs",
        sandbox: SandboxMode = "auto",
        waiting_max: int = WAITING_MAX,
        served_max: int = SERVED_MAX,
    ) -> None:
        """Prepare; no process is started yet.

        :param engine: a module of ``sealed`` that holds one.
        :param sandbox: ``auto``: sealed where that is possible; ``required``: refuse to open where it is not; ``off``: bare.
        """
        self._count = workers
        self._engine = engine
        self._sandbox = sandbox
        self._waiting_max = waiting_max
        self._served_max = served_max
        self._idle: list[WorkerProcess] = []
        #: Started and waiting to replace one that is lost; there is one from the first loss on.
        self._spares: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        self._waiters: deque[asyncio.Future[WorkerProcess]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        #: Whether the workers run inside bubblewrap.
        self.sealed = False
        #: What a worker could get at although it should not, by its own test at the start. Empty is good.
        self.holes: tuple[str, ...] = ()
        #: Workers replaced since the start.
        self.replaced = 0

    def sibling(self, engine: str, *, workers: int = 1) -> ScriptPool:
        """Another pool, as sealed as this one, for another engine; it is the caller's to open."""
        return ScriptPool(workers=workers, engine=engine, sandbox=self._sandbox)

    def figures(self) -> dict[str, int]:
        """For the health page."""
        return {
            "workers": len(self._all),
            "idle": len(self._idle),
            "open": sum(worker.open_count for worker in self._all),
            "waiting": len(self._waiters),
            "replaced": self.replaced,
        }

    def busy_pids(self) -> list[int]:
        """The processes that run something now."""
        return [worker.pid for worker in self._all if worker.is_wanted]

    async def __aenter__(self) -> Self:
        """:raises SandboxRequiredError: a sandbox is required, and there is none, or it has a hole."""
        reason, mend = "execution.sandbox is off", ""
        if self._sandbox != "off":
            status = await asyncio.to_thread(sandbox_status)
            self.sealed, reason, mend = status.available, status.reason, status.mend
        if self._sandbox == "required" and not self.sealed:
            raise SandboxRequiredError(details={"reason": reason, "mend": mend})
        try:
            await asyncio.gather(*(self._add() for _ in range(self._count)))
            await self._probe()
        except BaseException:
            await self._close()
            raise
        _log.info("script workers are ready", workers=self._count, sealed=self.sealed, holes=list(self.holes))
        return self

    async def _probe(self) -> None:
        worker = await self._take(START_SECONDS_MAX)
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                self.holes = await worker.probe()
        finally:
            worker.release()
        if self.holes and self._sandbox == "required":
            raise SandboxRequiredError(
                "The sandbox is required, but a script worker got out of it.",
                details={"holes": list(self.holes)},
            )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        self._closing = True
        for waiter in self._waiters:
            waiter.cancel()
        # Not cancelled: a worker that is being ended must be ended to the last pipe.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.end() for worker in (*self._all, *self._spares)))
        self._all.clear()
        self._idle.clear()
        self._spares.clear()

    async def run(
        self,
        program: Program,
        invocation: Invocation,
        *,
        host_calls: HostCalls = _no_calls,
        wait_seconds: float = 5.0,
        on_start: Callable[[asyncio.Timeout], None] | None = None,
    ) -> Outcome:
        """Run it as soon as a worker is free.

        :param host_calls: answers what the script asks the server for.
        :param wait_seconds: how long it may wait for a worker.
        :param on_start: gets the clock that will end it, for who has reason to wind it.
        :raises ScriptError: the script failed; its kinds say how, and have its console.
        :raises ScriptBusyError: no worker became free in time, or too many wait already.
        """
        console: list[Line] = []
        try:
            done = await self._run(program, invocation, host_calls, console, wait_seconds, on_start)
        except ScriptCrashError as error:
            if not error.innocent or (error.started and not invocation.repeatable):
                error.console = console
                raise
            console.clear()
            done = await self._run(program, invocation, host_calls, console, wait_seconds, on_start)
        if not done.ok:
            failure = _failure(done, program, invocation)
            failure.console = console
            raise failure
        return Outcome(value=done.value, console=console, script_ms=done.script_ms)

    async def _run(
        self,
        program: Program,
        invocation: Invocation,
        host_calls: HostCalls,
        console: list[Line],
        wait_seconds: float,
        on_start: Callable[[asyncio.Timeout], None] | None,
    ) -> Done:
        worker = await self._take(wait_seconds)
        limits = invocation.limits
        try:
            async with asyncio.timeout(limits.wall_seconds + OVERRUN_SECONDS) as clock:
                if on_start is not None:
                    on_start(clock)
                return await worker.run(program, invocation, host_calls, console)
        except ScriptTimeoutError as error:
            error.console = console
            raise
        except TimeoutError:
            late = ScriptTimeoutError(limits.wall_seconds)
            late.console = console
            raise late from None
        finally:
            worker.release()

    async def _take(self, wait_seconds: float) -> WorkerProcess:
        """A worker with a turn reserved."""
        if not self._idle:
            return await self._wait(wait_seconds)
        worker = min(self._idle, key=lambda one: one.open_count) if len(self._idle) > 1 else self._idle[0]
        self._idle.remove(worker)
        worker.reserve()
        return worker

    async def _wait(self, wait_seconds: float) -> WorkerProcess:
        if len(self._waiters) >= self._waiting_max or self._closing:
            raise ScriptBusyError
        waiter: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(wait_seconds):
                return await waiter
        except BaseException as error:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.done() and not waiter.cancelled():
                # A worker was handed to us in the very moment in which we gave up.
                waiter.result().release()
            if isinstance(error, TimeoutError):
                raise ScriptBusyError(details={"waited_seconds": wait_seconds}) from None
            raise

    def _free(self, worker: WorkerProcess) -> None:
        """Nobody in it wants a turn: who waits longest gets it."""
        if self._closing or worker not in self._all:
            return
        if worker.served >= self._served_max:
            if worker.open_count == 0:
                self._replace(worker)
            return
        if worker.open_count >= OPEN_MAX:
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                worker.reserve()
                waiter.set_result(worker)
                return
        self._idle.append(worker)

    def _taken(self, worker: WorkerProcess) -> None:
        """Somebody in it wants to go on."""
        if worker in self._idle:
            self._idle.remove(worker)

    def _lost(self, worker: WorkerProcess) -> None:
        """It ended by itself, or has to be."""
        self._taken(worker)
        if self._closing:
            return
        if worker in self._spares:
            self._spares.remove(worker)
        if worker in self._all:
            self._replace(worker)

    def _replace(self, worker: WorkerProcess) -> None:
        self._all.discard(worker)
        self.replaced += 1
        missing = 1
        while self._spares and missing:
            spare = self._spares.pop()
            if spare.alive:
                self._all.add(spare)
                self._free(spare)
                missing = 0
        for work in (self._end(worker), self._restart(missing)):
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _end(self, worker: WorkerProcess) -> None:
        complaint = await worker.end()
        _log.info("script worker replaced", pid=worker.pid, served=worker.served, stderr=complaint)

    async def _restart(self, missing: int) -> None:
        """Start what is missing, and a spare for the next time."""
        pause = RESTART_SECONDS
        while not self._closing and (missing or not self._spares):
            try:
                worker = await self._start()
            except OSError as error:
                _log.error("a script worker could not be started", error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, RESTART_SECONDS_MAX)
                continue
            if missing:
                missing -= 1
                self._all.add(worker)
                self._free(worker)
            else:
                self._spares.append(worker)

    async def _start(self) -> WorkerProcess:
        worker = WorkerProcess(
            engine=self._engine,
            sealed=self.sealed,
            on_lost=self._lost,
            on_free=self._free,
            on_taken=self._taken,
        )
        await worker.start()
        return worker

    async def _add(self) -> None:
        worker = await self._start()
        self._all.add(worker)
        self._free(worker)


def _failure(done: Done, program: Program, invocation: Invocation) -> ScriptError:
    if done.failure == "timeout":
        return ScriptTimeoutError(invocation.limits.script_seconds)
    if done.failure == "memory":
        return ScriptMemoryError(invocation.limits.heap_bytes)
    if done.failure == "syntax":
        place = done.error_frames.partition("\n")[0].removesuffix(")").split(":")
        line, column = place[-2:] if len(place) > 1 else ("", "")
        known = line.isdecimal() and column.isdecimal()
        return ScriptSyntaxError(
            done.error_text,
            file=place[0].rpartition("(")[2] if len(place) > 2 else program.file,
            line=int(line) if known else None,
            column=int(column) if known else None,
        )
    if done.failure == "error":
        return ScriptThrewError(done.error_name, done.error_text, _frames(done, program))
    return ScriptCrashError()


def _frames(done: Done, program: Program) -> list[str]:
    """``function (file:line:column)``, or the place alone."""
    if program.modules:
        return done.error_frames.splitlines()
    return [
        frame.replace("(", f"({program.file}:", 1) if "(" in frame else f"{program.file}:{frame}"
        for frame in done.error_frames.splitlines()
    ]
