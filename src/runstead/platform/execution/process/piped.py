"""A program whose input and output are pipes of the server: it ends with the server."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import select
import signal
import subprocess
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Final

from runstead.kernel.clock import Clock
from runstead.platform.execution.process.cgroups import Group
from runstead.platform.execution.process.descriptors import handed_over
from runstead.platform.execution.process.entering import entering_script, with_process_limit
from runstead.platform.execution.process.model import Launch
from runstead.platform.execution.process.running import (
    DRAIN_SECONDS_MAX,
    READ_BYTES,
    OnOutput,
    RunningProcess,
)
from runstead.platform.execution.process.sandbox import resolve, sealed_argv

#: Milliseconds that bubblewrap has to say which process it started.
INFO_MILLISECONDS_MAX: Final = 5000


class PipedProcess(RunningProcess):
    """Started by :func:`spawn`."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        info_fd: int | None,
        launch: Launch,
        *,
        group: Group | None,
        clock: Clock,
        on_stdout: OnOutput,
        on_stderr: OnOutput,
    ) -> None:
        super().__init__(launch, pid=process.pid, group=group, sealed=info_fd is not None, clock=clock)
        self._process = process
        self._info_fd = info_fd
        self._inner: int | None = None
        self._on_output = {"stdout": on_stdout, "stderr": on_stderr}
        self._watch_end()
        self._watch()

    def _watch_end(self) -> None:
        loop = asyncio.get_running_loop()
        pidfd = os.pidfd_open(self.pid)

        def reap() -> None:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            # Grandchildren that outlive the program end with it. While it is a zombie its group's number is still its own.
            self._kill_outermost()
            _, status, usage = os.wait4(self.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._rusage = usage
            self._ended.set_result(None)

        loop.add_reader(pidfd, reap)

    def _moving(self) -> Iterable[Coroutine[Any, Any, None]]:
        return self._read("stdout"), self._read("stderr"), self._feed()

    async def _drain(self, moving: Sequence[asyncio.Future[None]]) -> None:
        readers = moving[:2]
        _, late = await asyncio.wait(readers, timeout=DRAIN_SECONDS_MAX)
        for task in readers:
            if task not in late and (error := task.exception()):
                raise error

    async def _outcome(self) -> tuple[int | None, str | None]:
        status = self._process.returncode
        assert status is not None  # noqa: S101
        if self._info_fd is not None:
            os.close(self._info_fd)
            self._info_fd = None
        return outcome_of_status(status, sealed=self.sealed)

    def _inner_pid(self) -> int | None:
        if self._inner is None and self._info_fd is not None:
            self._inner = read_inner_pid(self._info_fd)
        return self._inner

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


def spawn(launch: Launch, group: Group | None, *, sealed: bool) -> tuple[subprocess.Popen[bytes], int | None]:
    """Start it, with pipes; the descriptor is where bubblewrap reports, None without it.

    :raises StartError: there is no such program.
    :raises OSError: the system refuses.
    """
    argv = with_process_limit(launch, (resolve(launch), *launch.argv[1:]), group, sealed=sealed)
    info_read, info_write = os.pipe() if sealed else (None, None)
    try:
        behind = argv if info_write is None else sealed_argv(launch, argv, info=info_write)
        with handed_over(launch) as (env, descriptors):
            process = subprocess.Popen(
                ["/bin/sh", "-ec", entering_script(launch, group), "sh", *behind],
                cwd=launch.working_dir,
                env=env,
                stdin=subprocess.PIPE if launch.stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=descriptors if info_write is None else (*descriptors, info_write),
            )
    except BaseException:
        if info_read is not None:
            os.close(info_read)
        raise
    finally:
        if info_write is not None:
            os.close(info_write)
    return process, info_read


def outcome_of_status(status: int, *, sealed: bool) -> tuple[int | None, str | None]:
    """The exit code or the signal. bubblewrap, as a shell does, tells a signal by a code above 128."""
    number = -status if status < 0 else status - 128 if sealed and status > 128 else 0
    if number:
        with contextlib.suppress(ValueError):
            return None, signal.Signals(number).name
    return status, None


def read_inner_pid(info_fd: int) -> int | None:
    """The process that bubblewrap started, as the host numbers it. None when it failed before.

    The report may be asked for before it is there; its end is when the descriptor is closed on the other side.
    """
    poll = select.poll()
    poll.register(info_fd, select.POLLIN | select.POLLHUP)
    report = b""
    while poll.poll(INFO_MILLISECONDS_MAX) and (piece := os.read(info_fd, 4096)):
        report += piece
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return int(json.loads(report)["child-pid"])
    return None
