"""One worker as the server sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from runstead.platform.execution.script.errors import ScriptCrashError
from runstead.platform.execution.script.launch import start_worker
from runstead.platform.execution.script.model import Invocation, Program
from runstead.platform.execution.script.protocol import (
    Done,
    FrameReader,
    FromWorker,
    HostCall,
    HostResult,
    Line,
    Probe,
    Probed,
    Run,
    ToWorker,
    frame,
)

#: Digests that a worker is believed to hold. It may have dropped one, then it says so.
_KNOWN_MAX: Final = 256
#: Console lines of one invocation that are kept, over all its calls to the server.
CONSOLE_LINES_MAX: Final = 2000
#: Bytes of standard error that are read when a worker has ended.
_STDERR_BYTES_MAX: Final = 4096

#: ``await host_calls(name, JSON array of the arguments) -> JSON``: decides what the caller may do, then does it.
HostCalls = Callable[[str, str], Awaitable[str]]


@dataclass(slots=True)
class _Pending:
    """What the worker is doing."""

    id: int
    finished: asyncio.Future[Done | Probed]
    host_calls: HostCalls
    console: list[Line] = field(default_factory=list)
    #: Seconds that the script has run, but for the turn that it has now.
    used: float = 0.0
    #: When its present turn began; None: the server has the turn.
    since: float | None = field(default_factory=time.monotonic)


class WorkerProcess(asyncio.Protocol):
    """A process that runs one invocation at a time. Whoever breaks the protocol, by accident or on purpose, is killed."""

    def __init__(self, *, sealed: bool, on_lost: Callable[[WorkerProcess], None]) -> None:
        """Prepare; nothing is started yet.

        :param on_lost: called once, when the worker can be used no more although nobody ended it.
        """
        self._sealed = sealed
        self._on_lost = on_lost
        self._known: dict[str, None] = {}
        self._frames = FrameReader()
        self._pending: _Pending | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._last_id = 0
        self._ending = False
        self.alive = False
        self.served = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    async def start(self) -> None:
        """:raises OSError: the system refuses to start it."""
        self._process, connection = await asyncio.to_thread(lambda: start_worker(sealed=self._sealed))
        await self._connect(connection)

    async def _connect(self, connection: socket.socket) -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, sock=connection)
        self._transport = transport
        self.alive = True

    async def run(self, program: Program, invocation: Invocation, host_calls: HostCalls) -> Done:
        """Do it and wait for the end; the time limit is the caller's.

        :raises ScriptCrashError: the worker ended, or spoke out of turn.
        """
        self.served += 1
        is_known = program.digest in self._known
        done = await self._run(program, invocation, host_calls, with_source=not is_known)
        if done.failure == "source":
            done = await self._run(program, invocation, host_calls, with_source=True)
        if invocation.kind == "run":
            self._remember(program.digest)
        return done

    async def _run(
        self, program: Program, invocation: Invocation, host_calls: HostCalls, *, with_source: bool
    ) -> Done:
        self._last_id += 1
        limits = invocation.limits
        request = Run(
            id=self._last_id,
            kind=invocation.kind,
            digest=program.digest,
            source=program.source if with_source or invocation.kind == "check" else None,
            function=invocation.function,
            argument=invocation.argument,
            script_seconds=limits.wall_seconds or limits.script_seconds,
            heap_bytes=limits.heap_bytes,
            stack_bytes=limits.stack_bytes,
        )
        answer = await self._exchange(request, host_calls)
        assert isinstance(answer, Done)  # noqa: S101 - _on_message sees to it
        return answer

    async def probe(self) -> tuple[str, ...]:
        """What the worker can get at although it should not.

        :raises ScriptCrashError: the worker ended.
        """
        self._last_id = 0
        answer = await self._exchange(Probe(pid=self.pid), _no_calls)
        assert isinstance(answer, Probed)  # noqa: S101 - _on_message sees to it
        return answer.holes

    async def _exchange(self, message: ToWorker, host_calls: HostCalls) -> Done | Probed:
        if not self.alive:
            raise ScriptCrashError
        pending = _Pending(self._last_id, asyncio.get_running_loop().create_future(), host_calls)
        self._pending = pending
        try:
            self._send(message)
            return await pending.finished
        except ScriptCrashError as error:
            error.console = pending.console
            raise
        finally:
            self._pending = None
            for call in self._calls:
                call.cancel()

    def seconds_in_script(self) -> float:
        """How long the script that runs now has run, without what it waited for at the server."""
        pending = self._pending
        if pending is None:
            return 0.0
        return pending.used + (0.0 if pending.since is None else time.monotonic() - pending.since)

    def console_so_far(self) -> list[Line]:
        """What has arrived of the console of the invocation that runs now."""
        return self._pending.console if self._pending else []

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._on_message(message)
        except ValueError as error:
            self._lose(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc)

    def _on_message(self, message: FromWorker) -> None:
        pending = self._pending
        if pending is None or pending.finished.done():
            raise ValueError("a message that nobody waits for")
        if isinstance(message, Probed):
            if pending.id != 0:
                raise ValueError("an answer to another question")
            pending.finished.set_result(message)
            return
        if message.id != pending.id or pending.id == 0:
            raise ValueError("a message of another invocation")
        if len(pending.console) < CONSOLE_LINES_MAX:
            pending.console.extend(message.console)
        if isinstance(message, Done):
            pending.finished.set_result(message)
        elif self._calls:
            raise ValueError("a second call before the first was answered")
        else:
            if pending.since is not None:
                pending.used += time.monotonic() - pending.since
                pending.since = None
            call = asyncio.get_running_loop().create_task(self._answer(message, pending.host_calls))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _answer(self, call: HostCall, host_calls: HostCalls) -> None:
        try:
            result = HostResult(ok=True, value=await host_calls(call.name, call.arguments))
        except Exception as error:  # noqa: BLE001 - the script gets the public text, whatever it is
            result = HostResult(ok=False, value=getattr(error, "message", "the call failed"))
        self._calls.clear()
        if self._pending is not None:
            self._pending.since = time.monotonic()
        try:
            self._send(result)
        except ValueError:
            self._send(HostResult(ok=False, value="the answer is too large"))

    def _send(self, message: ToWorker) -> None:
        # What waits in the transport is one message at most, for the worker reads before it sends the next.
        self._transport.write(frame(message))

    def _remember(self, digest: str) -> None:
        self._known.pop(digest, None)
        self._known[digest] = None
        if len(self._known) > _KNOWN_MAX:
            self._known.pop(next(iter(self._known)))

    def _lose(self, cause: Exception | None) -> None:
        if not self.alive:
            return
        self.alive = False
        self._transport.abort()
        if self._pending is not None and not self._pending.finished.done():
            error = ScriptCrashError()
            error.__cause__ = cause
            self._pending.finished.set_exception(error)
        if not self._ending:
            self._on_lost(self)

    async def end(self) -> str:
        """Kill it, reap it; what it wrote to standard error, cut."""
        self._ending = True
        self.alive = False
        self._transport.abort()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return await asyncio.shield(asyncio.to_thread(self._reap))

    def _reap(self) -> str:
        self._process.wait()
        if self._process.stderr is None:
            return ""
        with self._process.stderr as stream:
            return stream.read(_STDERR_BYTES_MAX).decode(errors="replace")


async def _no_calls(_name: str, _arguments: str) -> str:
    raise ScriptCrashError
