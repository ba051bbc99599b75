"""The workers together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import structlog

from runstead.platform.execution.process import SandboxMode, SandboxRequiredError, sandbox_status
from runstead.platform.execution.script.errors import (
    ScriptCrashError,
    ScriptError,
    ScriptSyntaxError,
    ScriptTimeoutError,
    ScriptUnavailableError,
)
from runstead.platform.execution.script.model import Invocation, Outcome, Program
from runstead.platform.execution.script.sealed import protocol
from runstead.platform.execution.script.worker_process import WorkerProcess

#: Invocations that wait for a worker; further ones are refused.
WAITING_MAX: Final = 1000
#: Seconds that a worker may overrun the script's limit before it is killed: the engine cannot interrupt one long native step.
OVERRUN_SECONDS: Final = 0.25
#: Invocations after which a worker is replaced, so that what leaks in it cannot add up.
SERVED_MAX: Final = 20_000
#: Seconds before a worker is started again that could not be; doubled up to the maximum.
RESTART_SECONDS: Final = 0.1
RESTART_SECONDS_MAX: Final = 5.0

#: ``await host_calls(name, JSON of the arguments) -> JSON``: decides what the caller may do, then does it.
HostCalls = Callable[[str, str], Awaitable[str]]

_log = structlog.get_logger("script")


async def _no_calls(name: str, arguments: str) -> str:
    raise ScriptUnavailableError(f"{name} is not to be had here")


class ScriptPool:
    """Runs scripts in worker processes.

    Guarantee: an invocation sees a context of its own; one that spins, eats its memory or ends its worker fails alone,
    and its worker is replaced. Why processes: the boundary that is trusted is the kernel's, not the engine's.
    """

    def __init__(self, *, workers: int, sandbox: SandboxMode = "auto") -> None:
        self._count = workers
        self._sandbox = sandbox
        self._sealed = False
        self._idle: asyncio.Queue[WorkerProcess] = asyncio.Queue()
        self._all: set[WorkerProcess] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._closing = False
        self.replaced = 0

    @property
    def sealed(self) -> bool:
        """Whether the workers run inside bubblewrap."""
        return self._sealed

    def figures(self) -> dict[str, int]:
        """For the health page."""
        return {
            "workers": len(self._all),
            "idle": self._idle.qsize(),
            "waiting": self._waiting,
            "replaced": self.replaced,
        }

    async def __aenter__(self) -> Self:
        """:raises SandboxRequiredError: a sandbox is required, and there is none."""
        if self._sandbox != "off":
            status = await asyncio.to_thread(sandbox_status)
            self._sealed = status.available
            if not status.available and self._sandbox == "required":
                raise SandboxRequiredError(details={"reason": status.reason, "mend": status.mend})
        await asyncio.gather(*(self._add() for _ in range(self._count)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        # Not cancelled: a worker that is being ended must be ended to the last pipe.
        await asyncio.gather(*self._replacing, return_exceptions=True)
        await asyncio.gather(*(worker.end() for worker in self._all))

    async def run(
        self,
        program: Program,
        invocation: Invocation,
        *,
        host_calls: HostCalls = _no_calls,
        wait_seconds: float = 5.0,
    ) -> Outcome:
        """Run it as soon as a worker is free.

        :param wait_seconds: how long it may wait for a worker.
        :raises ScriptError: the script threw.
        :raises ScriptSyntaxError: it does not parse.
        :raises ScriptTimeoutError: it took longer than ``invocation.limits`` allow.
        :raises ScriptCrashError: its worker ended.
        :raises ScriptUnavailableError: no worker became free in time.
        """
        worker = await self._take(wait_seconds)
        console: list[tuple[str, str]] = []
        healthy = False
        try:
            async with asyncio.timeout(invocation.limits.script_seconds + OVERRUN_SECONDS):
                done = await worker.run(program, invocation, host_calls, console)
            healthy = True
        except TimeoutError:
            raise ScriptTimeoutError(details={"limit_seconds": invocation.limits.script_seconds}) from None
        finally:
            self._give_back(worker, healthy=healthy)
        return _outcome(done, console, invocation)

    async def _take(self, wait_seconds: float) -> WorkerProcess:
        if self._idle.empty() and self._waiting >= WAITING_MAX:
            raise ScriptUnavailableError(headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_seconds):
                return await self._idle.get()
        except TimeoutError:
            raise ScriptUnavailableError(headers={"Retry-After": "1"}) from None
        finally:
            self._waiting -= 1

    def _give_back(self, worker: WorkerProcess, *, healthy: bool) -> None:
        if healthy and worker.served < SERVED_MAX and worker.is_alive:
            self._idle.put_nowait(worker)
        elif not self._closing:
            self.replaced += 1
            task = asyncio.create_task(self._replace(worker))
            self._replacing.add(task)
            task.add_done_callback(self._replacing.discard)

    async def _replace(self, worker: WorkerProcess) -> None:
        self._all.discard(worker)
        errors = await worker.end()
        if errors:
            _log.warning("a script worker was replaced", pid=worker.pid, stderr=errors)
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
        worker = WorkerProcess(sealed=self._sealed)
        await worker.start()
        self._all.add(worker)
        self._idle.put_nowait(worker)


def _outcome(done: protocol.Done, console: list[tuple[str, str]], invocation: Invocation) -> Outcome:
    if not done.ok:
        raise _error(done, console, invocation)
    try:
        value: Any = msgspec.json.decode(done.value)
    except msgspec.DecodeError as error:
        raise ScriptCrashError from error
    registrations = (
        value.get("registrations", ()) if invocation.kind == "init" and isinstance(value, dict) else ()
    )
    return Outcome(value=value, console=console, registrations=registrations, script_ms=done.script_ms)


def _error(done: protocol.Done, console: list[tuple[str, str]], invocation: Invocation) -> Exception:
    error: ScriptError | ScriptSyntaxError | ScriptTimeoutError
    if done.failure == "timeout":
        error = ScriptTimeoutError(details={"limit_seconds": invocation.limits.script_seconds})
    elif done.failure == "syntax":
        error = ScriptSyntaxError(
            f"{done.error_text} {done.error_stack.strip()}".strip(),
            details={"place": done.error_stack.strip()},
        )
    else:
        error = ScriptError(done.error_name, done.error_text, done.error_stack)
    error.console = console  # type: ignore[union-attr]
    return error
