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

import msgspec

from runstead.platform.execution.script.errors import ScriptCrashError, ScriptTimeoutError
from runstead.platform.execution.script.launch import start_worker
from runstead.platform.execution.script.model import Invocation, Program, ScriptLimits
from runstead.platform.execution.script.protocol import (
    Done,
    Drop,
    FrameReader,
    FromWorker,
    HostCall,
    HostResult,
    Line,
    Parked,
    Probe,
    Probed,
    Run,
    Settle,
    ToWorker,
    frame,
)

#: Digests that a worker is believed to hold. It may have dropped one, then it says so.
_KNOWN_MAX: Final = 256
#: Console lines of one invocation that are kept, over all its calls to the server.
CONSOLE_LINES_MAX: Final = 2000
#: Bytes of standard error that are read when a worker has ended.
_STDERR_BYTES_MAX: Final = 4096
#: Calls of one invocation that may be in flight.
CALLS_IN_FLIGHT_MAX: Final = 50
#: And timers: they cost next to nothing.
TIMERS_MAX: Final = 1000
#: The one call that is answered here.
TIMER: Final = "timer"
#: Seconds that a worker may overrun the script's limit before it is killed: the engine cannot interrupt one long native step.
OVERRUN_SECONDS: Final = 0.25

#: ``await host_calls(name, JSON array of the arguments) -> JSON``: decides what the caller may do, then does it.
HostCalls = Callable[[str, str], Awaitable[str]]
Answer = Done | Parked | Probed


@dataclass(slots=True, eq=False)
class _Open:
    """An invocation that has begun and not ended."""

    id: int
    limits: ScriptLimits
    host_calls: HostCalls
    console: list[Line]
    #: Whether it has had a turn.
    started: bool = False
    #: Seconds that the script has run, but for the turn that it has now.
    used: float = 0.0
    #: Answers to calls that it did not wait for.
    results: list[tuple[int, bool, str]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    failure: ScriptCrashError | None = None


class _Turn:
    """What the worker is doing: its clock stands still while the server has the turn."""

    def __init__(self, one: _Open, overrun: Callable[[], None]) -> None:
        self.one = one
        loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[Answer] = loop.create_future()
        self._overrun = overrun
        self._timer: asyncio.TimerHandle | None = None
        self.resume()

    def resume(self) -> None:
        self._since = time.monotonic()
        left = self.one.limits.script_seconds + OVERRUN_SECONDS - self.one.used
        self._timer = asyncio.get_running_loop().call_later(left, self._overrun)

    def pause(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.one.used += time.monotonic() - self._since


class WorkerProcess(asyncio.Protocol):
    """A process that gives one invocation after the other a turn; those that wait for the server by promises are parked between
    theirs. Whoever breaks the protocol, by accident or on purpose, is killed.
    """

    def __init__(
        self,
        *,
        engine: str,
        sealed: bool,
        on_lost: Callable[[WorkerProcess], None],
        on_free: Callable[[WorkerProcess], None],
        on_taken: Callable[[WorkerProcess], None],
    ) -> None:
        """Prepare; nothing is started yet.

        :param on_lost: called once, when the worker can be used no more although nobody ended it.
        :param on_free: called when nobody wants a turn any more.
        :param on_taken: called when somebody who was parked wants one again.
        """
        self._engine = engine
        self._sealed = sealed
        self._on_lost, self._on_free, self._on_taken = on_lost, on_free, on_taken
        self._known: dict[str, None] = {}
        self._frames = FrameReader()
        self._open: dict[int, _Open] = {}
        self._turn: _Turn | None = None
        self._order = asyncio.Lock()
        self._last_id = 0
        self._ending = False
        #: Invocations that have a turn or wait for one.
        self._wanted = 0
        self.alive = False
        self.served = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def open_count(self) -> int:
        """Invocations that have begun and not ended."""
        return len(self._open)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody has a turn or waits for one."""
        return self._wanted > 0

    def reserve(self) -> None:
        """Somebody wants a turn."""
        self._wanted += 1

    def release(self) -> None:
        """Somebody wants none any more."""
        self._wanted -= 1
        if self._wanted == 0 and self.alive:
            self._on_free(self)

    async def start(self) -> None:
        """:raises OSError: the system refuses to start it."""
        self._process, connection = await asyncio.to_thread(
            lambda: start_worker(sealed=self._sealed, engine=self._engine)
        )
        await self._connect(connection)

    async def _connect(self, connection: socket.socket) -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, sock=connection)
        self._transport = transport
        self.alive = True

    async def run(
        self, program: Program, invocation: Invocation, host_calls: HostCalls, console: list[Line]
    ) -> Done:
        """Do it and wait for the end. The caller has reserved a turn, and releases it.

        :param console: gets the lines as they come.
        :raises ScriptCrashError: the worker ended, or spoke out of turn.
        :raises ScriptTimeoutError: the script passed its limit and did not let itself be interrupted.
        """
        self.served += 1
        is_known = program.digest in self._known
        done = await self._run(program, invocation, host_calls, console, with_source=not is_known)
        if done.failure == "source":
            done = await self._run(program, invocation, host_calls, console, with_source=True)
        if invocation.kind == "run":
            self._remember(program.digest)
        return done

    async def _run(
        self,
        program: Program,
        invocation: Invocation,
        host_calls: HostCalls,
        console: list[Line],
        *,
        with_source: bool,
    ) -> Done:
        self._last_id += 1
        limits = invocation.limits
        one = _Open(self._last_id, limits, host_calls, console)
        is_sent = with_source or invocation.kind == "check"
        request = Run(
            id=one.id,
            kind=invocation.kind,
            digest=program.digest,
            source=program.source if is_sent else None,
            modules=program.modules if is_sent else (),
            function=invocation.function,
            argument=invocation.argument,
            script_seconds=limits.wall_seconds if limits.may_block else limits.script_seconds,
            heap_bytes=limits.heap_bytes,
            stack_bytes=limits.stack_bytes,
        )
        self._open[one.id] = one
        try:
            said = await self._take_turn(one, request)
            while isinstance(said, Parked):
                await self._park(one)
                results, one.results = one.results, []
                one.arrived.clear()
                said = await self._take_turn(one, Settle(id=one.id, results=results))
        finally:
            self._close(one, is_parked=one.started)
        assert isinstance(said, Done)  # noqa: S101 - _on_message sees to it
        return said

    async def _park(self, one: _Open) -> None:
        """Let others have the worker until an answer is there."""
        if one.results:
            return
        self.release()
        try:
            await one.arrived.wait()
        finally:
            if self._wanted == 0 and self.alive:
                self._on_taken(self)
            self.reserve()

    def _close(self, one: _Open, *, is_parked: bool) -> None:
        if self._open.pop(one.id, None) is not None and is_parked and self.alive:
            # It ended between two turns, by its time or because nobody waits for it any more.
            self._send(Drop(id=one.id))
        for call in one.calls:
            call.cancel()

    async def probe(self) -> tuple[str, ...]:
        """What the worker can get at although it should not.

        :raises ScriptCrashError: the worker ended.
        """
        one = _Open(0, ScriptLimits(script_seconds=60), _no_calls, [])
        answer = await self._take_turn(one, Probe(pid=self.pid))
        assert isinstance(answer, Probed)  # noqa: S101 - _on_message sees to it
        return answer.holes

    async def _take_turn(self, one: _Open, message: ToWorker) -> Answer:
        async with self._order:
            if one.failure is not None or not self.alive:
                raise one.failure or ScriptCrashError(innocent=True, started=one.started)
            self._turn = turn = _Turn(one, self._overrun)
            one.started = True
            try:
                self._send(message)
                said = await turn.finished
            except BaseException:
                # Whatever it is doing there, it is not done with it.
                self._lose(None)
                raise
            finally:
                turn.pause()
                self._turn = None
            if isinstance(said, Done):
                del self._open[one.id]
            return said

    def _overrun(self) -> None:
        turn = self._turn
        if turn is not None and not turn.finished.done():
            turn.finished.set_exception(ScriptTimeoutError(turn.one.limits.script_seconds))

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                self._on_message(message)
        except ValueError as error:
            self._lose(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc)

    def _on_message(self, message: FromWorker) -> None:
        turn = self._turn
        if turn is None or turn.finished.done():
            raise ValueError("a message that nobody waits for")
        one = turn.one
        if isinstance(message, Probed):
            if one.id != 0:
                raise ValueError("an answer to another question")
            turn.finished.set_result(message)
            return
        if message.id != one.id or one.id == 0:
            raise ValueError("a message of another invocation")
        if len(one.console) < CONSOLE_LINES_MAX:
            one.console.extend(message.console)
        if isinstance(message, HostCall):
            self._on_call(turn, message)
        else:
            turn.finished.set_result(message)

    def _on_call(self, turn: _Turn, call: HostCall) -> None:
        one = turn.one
        if call.number:
            most = TIMERS_MAX if call.name == TIMER else CALLS_IN_FLIGHT_MAX
            if len(one.calls) >= most:
                refused = f"{most} calls to the server are in flight already"
                one.results.append((call.number, False, refused))
                return
            answering = self._settle(one, call)
        else:
            turn.pause()
            answering = self._answer(turn, call)
        task = asyncio.get_running_loop().create_task(answering)
        one.calls.add(task)
        task.add_done_callback(one.calls.discard)

    async def _answer(self, turn: _Turn, call: HostCall) -> None:
        """The worker waits for this."""
        ok, value = await _result(turn.one, call)
        if self._turn is not turn or turn.finished.done() or not self.alive:
            return
        turn.resume()
        try:
            self._send(HostResult(ok=ok, value=value))
        except ValueError:
            self._send(HostResult(ok=False, value="the answer is too large"))

    async def _settle(self, one: _Open, call: HostCall) -> None:
        """The script gets this when it has its next turn."""
        ok, value = await _result(one, call)
        one.results.append((call.number, ok, value))
        one.arrived.set()

    def _send(self, message: ToWorker) -> None:
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
        turn = self._turn
        if turn is not None and not turn.finished.done():
            error = ScriptCrashError()
            error.__cause__ = cause
            turn.finished.set_exception(error)
        for one in self._open.values():
            if turn is None or one is not turn.one:
                one.failure = ScriptCrashError(innocent=True, started=one.started)
                one.arrived.set()
        if not self._ending:
            self._on_lost(self)

    async def end(self) -> str:
        """Kill it, reap it; what it wrote to standard error, cut."""
        self._ending = True
        self._lose(None)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return await asyncio.shield(asyncio.to_thread(self._reap))

    def _reap(self) -> str:
        self._process.wait()
        if self._process.stderr is None:
            return ""
        with self._process.stderr as stream:
            return stream.read(_STDERR_BYTES_MAX).decode(errors="replace")


async def _result(one: _Open, call: HostCall) -> tuple[bool, str]:
    try:
        if call.name == TIMER:
            return True, await _timer(call.arguments)
        return True, await one.host_calls(call.name, call.arguments)
    except Exception as error:  # noqa: BLE001 - the script gets the public text, whatever it is
        return False, str(getattr(error, "message", "the call failed"))


async def _timer(arguments: str) -> str:
    (milliseconds,) = msgspec.json.decode(arguments, type=tuple[float])
    await asyncio.sleep(max(0.0, milliseconds / 1000))
    return "null"


async def _no_calls(_name: str, _arguments: str) -> str:
    raise ScriptCrashError
