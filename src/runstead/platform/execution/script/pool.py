"""The workers together."""

from __future__ import annotations

import asyncio
from collections import deque
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
from runstead.platform.execution.script.protocol import Done
from runstead.platform.execution.script.worker_process import HostCalls, WorkerProcess

#: Invocations that wait for a worker; further ones are refused at once.
WAITING_MAX: Final = 1000
#: Seconds that a worker may overrun the script's limit before it is killed: the engine cannot interrupt one long native step.
OVERRUN_SECONDS: Final = 0.25
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

    Guarantee: an invocation sees a context of its own; one that spins, eats its memory or ends its worker fails alone, and its
    worker is replaced while the others go on. Who waits is served in order. Why processes: the boundary that is trusted is the
    kernel's, not the engine's.
    """

    def __init__(
        self,
        *,
        workers: int,
        sandbox: SandboxMode = "auto",
        waiting_max: int = WAITING_MAX,
        served_max: int = SERVED_MAX,
    ) -> None:
        """Prepare; no process is started yet.

        :param sandbox: ``auto``: sealed where that is possible; ``required``: refuse to open where it is not; ``off``: bare.
        """
        self._count = workers
        self._sandbox = sandbox
        self._waiting_max = waiting_max
        self._served_max = served_max
        self._idle: list[WorkerProcess] = []
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

    def figures(self) -> dict[str, int]:
        """For the health page."""
        return {
            "workers": len(self._all),
            "idle": len(self._idle),
            "waiting": len(self._waiters),
            "replaced": self.replaced,
        }

    def busy_pids(self) -> list[int]:
        """The processes that run something now."""
        return [worker.pid for worker in self._all if worker not in self._idle]

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
            self._give_back(worker, healthy=worker.alive)
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
        await asyncio.gather(*(worker.end() for worker in self._all))
        self._all.clear()
        self._idle.clear()

    async def run(
        self,
        program: Program,
        invocation: Invocation,
        *,
        host_calls: HostCalls = _no_calls,
        wait_seconds: float = 5.0,
    ) -> Outcome:
        """Run it as soon as a worker is free.

        :param host_calls: answers what the script asks the server for.
        :param wait_seconds: how long it may wait for a worker.
        :raises ScriptError: the script failed; its kinds say how, and have its console.
        :raises ScriptBusyError: no worker became free in time, or too many wait already.
        """
        worker = await self._take(wait_seconds)
        seconds = invocation.limits.script_seconds
        healthy = False
        console: list[tuple[str, str]] = []
        try:
            wall = invocation.limits.wall_seconds
            async with asyncio.timeout((wall or seconds) + OVERRUN_SECONDS) as limit:
                watch = _watched(worker, limit, seconds) if wall is not None else None
                try:
                    done = await worker.run(program, invocation, host_calls)
                except asyncio.CancelledError:
                    console = [*worker.console_so_far()]
                    raise
                finally:
                    if watch is not None:
                        watch.cancel()
            healthy = True
        except TimeoutError:
            late = ScriptTimeoutError(seconds)
            late.console = console
            raise late from None
        finally:
            self._give_back(worker, healthy=healthy)
        if not done.ok:
            failure = _failure(done, program, invocation)
            failure.console = done.console
            raise failure
        return Outcome(value=done.value, console=done.console, script_ms=done.script_ms)

    async def _take(self, wait_seconds: float) -> WorkerProcess:
        until = asyncio.get_running_loop().time() + wait_seconds
        while True:
            worker = self._idle.pop() if self._idle else await self._wait(until, wait_seconds)
            if worker.alive:
                return worker
            self._give_back(worker, healthy=False)

    async def _wait(self, until: float, wait_seconds: float) -> WorkerProcess:
        if len(self._waiters) >= self._waiting_max or self._closing:
            raise ScriptBusyError
        waiter: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(until):
                return await waiter
        except BaseException as error:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif waiter.done() and not waiter.cancelled():
                # A worker was handed to us in the very moment in which we gave up.
                self._offer(waiter.result())
            if isinstance(error, TimeoutError):
                raise ScriptBusyError(details={"waited_seconds": wait_seconds}) from None
            raise

    def _offer(self, worker: WorkerProcess) -> None:
        """A worker is free: who waits longest gets it."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(worker)
                return
        self._idle.append(worker)

    def _give_back(self, worker: WorkerProcess, *, healthy: bool) -> None:
        if self._closing:
            return
        if healthy and worker.alive and worker.served < self._served_max:
            self._offer(worker)
        elif worker in self._all:
            self._replace(worker)

    def _lost(self, worker: WorkerProcess) -> None:
        """It ended by itself; when it was busy, whoever uses it gives it back."""
        if worker in self._idle and not self._closing:
            self._idle.remove(worker)
            self._replace(worker)

    def _replace(self, worker: WorkerProcess) -> None:
        self._all.discard(worker)
        self.replaced += 1
        for work in (self._end(worker), self._restart()):
            task = asyncio.get_running_loop().create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _end(self, worker: WorkerProcess) -> None:
        complaint = await worker.end()
        _log.info("script worker replaced", pid=worker.pid, served=worker.served, stderr=complaint)

    async def _restart(self) -> None:
        pause = RESTART_SECONDS
        while not self._closing:
            try:
                await self._add()
            except OSError as error:
                _log.error("a script worker could not be started", error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, RESTART_SECONDS_MAX)
            else:
                return

    async def _add(self) -> None:
        worker = WorkerProcess(sealed=self.sealed, on_lost=self._lost)
        await worker.start()
        self._all.add(worker)
        self._offer(worker)


def _watched(worker: WorkerProcess, limit: asyncio.Timeout, seconds: float) -> asyncio.Task[None]:
    """End the turn of a script that may wait, but spins: the engine counts both, so the server counts the one."""

    async def watch() -> None:
        # Nothing tells when the script has used its time up: it is what the clock says then.
        while (left := seconds + OVERRUN_SECONDS - worker.seconds_in_script()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)
        limit.reschedule(asyncio.get_running_loop().time())

    return asyncio.create_task(watch())


def _failure(done: Done, program: Program, invocation: Invocation) -> ScriptError:
    if done.failure == "timeout":
        return ScriptTimeoutError(invocation.limits.script_seconds)
    if done.failure == "memory":
        return ScriptMemoryError(invocation.limits.heap_bytes)
    if done.failure == "syntax":
        line, _, column = done.error_frames.partition("\n")[0].partition(":")
        known = line.isdecimal() and column.isdecimal()
        return ScriptSyntaxError(
            done.error_text,
            file=program.file,
            line=int(line) if known else None,
            column=int(column) if known else None,
        )
    if done.failure == "error":
        return ScriptThrewError(done.error_name, done.error_text, _frames(done, program))
    return ScriptCrashError()


def _frames(done: Done, program: Program) -> list[str]:
    """``function (line:column)``, or the place alone, with the file."""
    return [
        frame.replace("(", f"({program.file}:", 1) if "(" in frame else f"{program.file}:{frame}"
        for frame in done.error_frames.splitlines()
    ]
