"""Starting programs, reading what they say, ending them for certain."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from runstead.kernel.clock import Clock, SystemClock
from runstead.kernel.limits import KIB
from runstead.platform.execution.process.model import Exit, Launch, LimitName, StartError
from runstead.platform.execution.process.sandbox import (
    SandboxRequiredError,
    command_line,
    resolve,
    sandbox_status,
)

_log = structlog.get_logger("process")

#: Bytes read at once; the pipe holds as many, then the program waits: that is the back-pressure.
READ_BYTES: Final = 64 * KIB
#: Seconds after SIGKILL in which the output that is still in the pipes is read.
DRAIN_SECONDS_MAX: Final = 2.0
#: Seconds between the polite and the final signal when a limit was passed.
LIMIT_GRACE_SECONDS: Final = 1.0

OnOutput = Callable[[bytes], Awaitable[None] | None]


class Supervisor:
    """Starts programs, each in a session, a process group and, where possible, a sandbox of its own.

    Guarantee: what is started is ended: by itself, by a limit, by :meth:`RunningProcess.kill`, or, in the sandbox, by the
    kernel when the server dies (but for the few milliseconds before the program begins, in which bubblewrap has not yet bound
    its life to ours). No byte of its output is lost while it runs: a slow reader makes it wait.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._warned = False

    def check(self, launch: Launch) -> None:
        """Whether there is such a program at all: for a caller that will start it only later.

        :raises StartError: there is none.
        """
        resolve(launch)

    async def start(self, launch: Launch, *, on_stdout: OnOutput, on_stderr: OnOutput) -> RunningProcess:
        """Start a program.

        :param on_stdout: called with each piece as it comes, in order; awaited when it returns an awaitable.
        :raises StartError: there is no such program, or the system refuses to start it.
        :raises SandboxRequiredError: ``launch.sandbox`` is required and there is none.
        """
        sealed = await self._is_sealed(launch)
        try:
            process = await asyncio.to_thread(_spawn, launch, sealed)
        except OSError as error:
            raise StartError(f"{launch.argv[0]} could not be started: {error.strerror}") from error
        running = RunningProcess(process, launch, clock=self._clock, on_stdout=on_stdout, on_stderr=on_stderr)
        await running._begin()  # noqa: SLF001 - the two are one
        return running

    async def _is_sealed(self, launch: Launch) -> bool:
        if launch.sandbox == "off":
            return False
        status = await asyncio.to_thread(sandbox_status)
        if not status.available and launch.sandbox == "required":
            raise SandboxRequiredError(details={"reason": status.reason, "mend": status.mend})
        if not status.available and not self._warned:
            self._warned = True
            _log.warning("programs run without a sandbox", reason=status.reason, mend=status.mend)
        return status.available


class _Spawned:
    """A child, its pipes, and the reader of bubblewrap's report."""

    def __init__(self, process: subprocess.Popen[bytes], info_fd: int | None) -> None:
        self.process = process
        self.info_fd = info_fd


def _spawn(launch: Launch, sealed: bool) -> _Spawned:
    info_read, info_write = os.pipe() if sealed else (None, None)
    try:
        process = subprocess.Popen(
            command_line(launch, sealed=sealed, info_fd=info_write),
            cwd=launch.working_dir,
            env=dict(launch.env),
            stdin=subprocess.PIPE if launch.stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=() if info_write is None else (info_write,),
        )
    except BaseException:
        if info_read is not None:
            os.close(info_read)
        raise
    finally:
        if info_write is not None:
            os.close(info_write)
    return _Spawned(process, info_read)


class RunningProcess:
    """A program that was started. Await :meth:`wait` once or often; it must be awaited by somebody."""

    def __init__(
        self, spawned: _Spawned, launch: Launch, *, clock: Clock, on_stdout: OnOutput, on_stderr: OnOutput
    ) -> None:
        self._process = spawned.process
        self._info_fd = spawned.info_fd
        self._launch = launch
        self._clock = clock
        self._on_output = {"stdout": on_stdout, "stderr": on_stderr}
        self._output_bytes = 0
        self._limit: LimitName | None = None
        self._inner_pid: int | None = None
        self._killing: asyncio.Task[None] | None = None
        self._ended = asyncio.get_running_loop().create_future()
        self._exit: asyncio.Task[Exit] | None = None
        self.started_at: datetime = clock.now()

    @property
    def pid(self) -> int:
        """The process that the server started: the program itself, or the sandbox around it."""
        return self._process.pid

    @property
    def pgid(self) -> int:
        return self._process.pid

    @property
    def sealed(self) -> bool:
        """Whether it runs in the sandbox."""
        return self._info_fd is not None or self._inner_pid is not None

    async def wait(self) -> Exit:
        """How it ended, once it has and all its output was handed on."""
        assert self._exit is not None, "not started"  # noqa: S101
        return await asyncio.shield(self._exit)

    async def kill(self, signal_name: str = "TERM", grace_seconds: float = 5.0) -> None:
        """Ask the whole tree to end; after ``grace_seconds`` make it. Returns when it is gone."""
        self._signal_tree(getattr(signal, f"SIG{signal_name.removeprefix('SIG')}"))
        await asyncio.wait({self._ended}, timeout=grace_seconds)
        self._kill_tree()
        await asyncio.wait({self._ended})

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        if self._info_fd is not None:
            self._inner_pid = await asyncio.to_thread(_read_inner_pid, self._info_fd)
            self._info_fd = None
        pidfd = os.pidfd_open(self._process.pid)

        def reap() -> None:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            # Grandchildren that outlive the program end with it. While it is a zombie its group's number is still its own.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pgid, signal.SIGKILL)
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._ended.set_result(usage)

        loop.add_reader(pidfd, reap)
        self._exit = asyncio.create_task(self._supervise(), name=f"process-{self.pid}")

    async def _supervise(self) -> Exit:
        readers = [asyncio.create_task(self._read(name)) for name in ("stdout", "stderr")]
        feeder = asyncio.create_task(self._feed())
        wall = asyncio.create_task(self._watch_wall())
        try:
            usage = await asyncio.shield(self._ended)
            _, late = await asyncio.wait(readers, timeout=DRAIN_SECONDS_MAX)
            for task in readers:
                if task in late:
                    task.cancel()
                elif error := task.exception():
                    raise error
        finally:
            for task in (feeder, wall, *readers):
                task.cancel()
            await asyncio.gather(feeder, wall, *readers, return_exceptions=True)
            if self._killing is not None:
                await self._killing
        code, signal_name = self._outcome()
        if self._limit is None and signal_name == "SIGXCPU":
            self._limit = "cpu"
        cpu_seconds = usage.ru_utime + usage.ru_stime
        if self._limit is None and signal_name == "SIGKILL" and self._cpu_exhausted(cpu_seconds):
            self._limit = "cpu"
        return Exit(
            code=code,
            signal=signal_name,
            limit=self._limit,
            cpu_seconds=cpu_seconds,
            max_rss_bytes=usage.ru_maxrss * KIB,
            started_at=self.started_at,
            ended_at=self._clock.now(),
        )

    def _cpu_exhausted(self, used: float) -> bool:
        limit = self._launch.limits.cpu_seconds
        return limit is not None and used >= limit

    def _outcome(self) -> tuple[int | None, str | None]:
        status = self._process.returncode
        assert status is not None  # noqa: S101
        # bubblewrap reports the signal that ended its child the way a shell does.
        number = (
            -status if status < 0 else status - 128 if self._inner_pid is not None and status > 128 else 0
        )
        if number:
            with contextlib.suppress(ValueError):
                return None, signal.Signals(number).name
        return status, None

    async def _feed(self) -> None:
        pipe = self._process.stdin
        if pipe is None or self._launch.stdin is None:
            return
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        try:
            for start in range(0, len(self._launch.stdin), READ_BYTES):
                writer.write(self._launch.stdin[start : start + READ_BYTES])
                await writer.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass  # a program need not read what it is given
        finally:
            writer.close()

    async def _read(self, name: str) -> None:
        pipe = self._process.stdout if name == "stdout" else self._process.stderr
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=READ_BYTES)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while chunk := await reader.read(READ_BYTES):
                self._count(len(chunk))
                handed_on = self._on_output[name](chunk)
                if inspect.isawaitable(handed_on):
                    await handed_on
        finally:
            transport.close()

    def _count(self, more: int) -> None:
        self._output_bytes += more
        limit = self._launch.limits.output_bytes
        if limit is not None and self._output_bytes > limit:
            self._pass_limit("output")

    async def _watch_wall(self) -> None:
        if self._launch.limits.wall_seconds is not None:
            await self._clock.sleep(self._launch.limits.wall_seconds)
            self._pass_limit("wall")

    def _pass_limit(self, limit: LimitName) -> None:
        if self._limit is None and not self._ended.done():
            self._limit = limit
            self._killing = asyncio.create_task(self.kill(grace_seconds=LIMIT_GRACE_SECONDS))

    def _signal_tree(self, number: signal.Signals) -> None:
        """Signal every process of the tree, but not the sandbox around it: were that to go first, the rest would get no grace."""
        if self._ended.done():
            return
        if self._inner_pid is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pgid, number)
        for pid in _descendants(self._inner_pid or self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _kill_tree(self) -> None:
        if self._ended.done():
            return
        # In the sandbox the kernel ends the tree with its first process; bare, strays in other groups are looked up.
        for pid in [] if self._inner_pid is not None else list(_descendants(self.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pgid, signal.SIGKILL)


def _read_inner_pid(info_fd: int) -> int | None:
    """The process that bubblewrap started, as the host numbers it. None when it failed before."""
    with os.fdopen(info_fd, "rb") as report:
        try:
            return int(json.loads(report.read())["child-pid"])
        except (ValueError, KeyError):
            return None


def _descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from _descendants(child)
