"""Starting programs, reading what they say, ending them for certain."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import structlog

from runstead.kernel.clock import Clock, SystemClock
from runstead.platform.execution.process.cgroups import (
    Group,
    close_control_groups,
    control_groups,
    group_status,
)
from runstead.platform.execution.process.kept import Kept, KeptProcess, OnKeptOutput, spawn_kept
from runstead.platform.execution.process.model import Launch, StartError
from runstead.platform.execution.process.piped import PipedProcess, spawn
from runstead.platform.execution.process.running import OnOutput, RunningProcess
from runstead.platform.execution.process.sandbox import SandboxRequiredError, resolve, sandbox_status
from runstead.platform.execution.process.threads import in_thread
from runstead.platform.execution.process.tree import descendants, kill_marked, signal_each

_log = structlog.get_logger("process")


class Supervisor:
    """Starts programs, each in a session, a control group and a sandbox of its own, as far as the machine has them.

    Guarantee: what is started is ended: by itself, by a limit, by :meth:`RunningProcess.kill`; and when the server dies, by the
    kernel in the sandbox, or else by the next server, which looks for the groups of the dead one. What is ``kept`` outlives the
    server on purpose. No byte of its output is lost: a slow reader makes it wait.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._warned: set[str] = set()
        self._knows_sandbox = False

    async def prepare(self) -> None:
        """Make room for groups before anything is started, and end what a dead server left; else the first start does it."""
        await asyncio.to_thread(control_groups)

    def check(self, launch: Launch) -> None:
        """Whether there is such a program at all: for a caller that will start it only later.

        :raises StartError: there is none.
        """
        resolve(launch)

    def close(self) -> None:
        """Leave nothing behind in the trees of control groups; programs have ended by now."""
        close_control_groups()

    async def start(
        self, launch: Launch | Callable[[], Launch], *, on_stdout: OnOutput, on_stderr: OnOutput
    ) -> RunningProcess:
        """Start a program.

        :param launch: or what makes it; that may block, and is called in the thread that starts the program.
        :param on_stdout: called with each piece as it comes, in order; awaited when it returns an awaitable.
        :raises StartError: there is no such program, or the system refuses to start it.
        :raises SandboxRequiredError: ``launch.sandbox`` is required and there is none.
        """
        await self._know_sandbox()
        made, group, process, info_fd = await in_thread(partial(self._spawn, launch))
        return PipedProcess(
            process,
            info_fd,
            made,
            group=group,
            clock=self._clock,
            on_stdout=on_stdout,
            on_stderr=on_stderr,
        )

    async def start_kept(self, launch: Launch, *, on_output: Mapping[str, OnKeptOutput]) -> KeptProcess:
        """Start a program that outlives this server. It begins when :meth:`KeptProcess.begin` is called.

        :param on_output: for ``stdout`` and ``stderr``, see :data:`OnKeptOutput`.
        :raises StartError: there is no such program, or the system refuses to start it.
        :raises SandboxRequiredError: ``launch.sandbox`` is required and there is none.
        """
        await self._know_sandbox()
        process, kept = await in_thread(partial(self._spawn_kept, launch))
        return KeptProcess(
            launch, kept, process=process, clock=self._clock, on_output=on_output, positions={}
        )

    async def find_kept(
        self, launch: Launch, *, on_output: Mapping[str, OnKeptOutput], positions: Mapping[str, int]
    ) -> KeptProcess | None:
        """The program that an earlier server started with this launch; its output from the positions on.

        :returns: None when it is not there any more; then nothing of it is.
        """
        kept = None if launch.keep is None else await asyncio.to_thread(Kept.read, launch.keep)
        if kept is None:
            return None
        with contextlib.suppress(OSError):
            return KeptProcess(
                launch, kept, process=None, clock=self._clock, on_output=on_output, positions=positions
            )
        await asyncio.to_thread(_end_rest, kept, launch)
        return None

    async def end_kept(self, launch: Launch) -> None:
        """End a program that an earlier server started, and that nobody can look after."""
        kept = None if launch.keep is None else await asyncio.to_thread(Kept.read, launch.keep)
        if kept is not None:
            await asyncio.to_thread(_end_rest, kept, launch)

    def _spawn_kept(self, launch: Launch) -> tuple[subprocess.Popen[bytes], Kept]:
        sealed = self._is_sealed(launch)
        with self._starting(launch) as group:
            return spawn_kept(launch, group, sealed=sealed, clock=self._clock)

    def _spawn(
        self, given: Launch | Callable[[], Launch]
    ) -> tuple[Launch, Group | None, subprocess.Popen[bytes], int | None]:
        launch = given if isinstance(given, Launch) else given()
        sealed = self._is_sealed(launch)
        with self._starting(launch) as group:
            return launch, group, *spawn(launch, group, sealed=sealed)

    @contextlib.contextmanager
    def _starting(self, launch: Launch) -> Iterator[Group | None]:
        """The group that it is to enter; removed when it never does."""
        group = self._group_for(launch)
        try:
            yield group
        except BaseException as error:
            if group is not None:
                group.remove()
            if isinstance(error, OSError):
                raise StartError(f"{launch.argv[0]} could not be started: {error.strerror}") from error
            raise

    def _group_for(self, launch: Launch) -> Group | None:
        groups = control_groups()
        if groups is None:
            self._warn("programs run without control groups", str(group_status()))
            return None
        try:
            return groups.make(launch.limits, kept=launch.keep is not None)
        except OSError as error:
            raise StartError(f"no control group could be made: {error.strerror}") from error

    async def _know_sandbox(self) -> None:
        """Not in one of the few threads: the first look takes a while."""
        if not self._knows_sandbox:
            await asyncio.to_thread(sandbox_status)
            self._knows_sandbox = True

    def _is_sealed(self, launch: Launch) -> bool:
        if launch.sandbox == "off":
            return False
        status = sandbox_status()
        if not status.available and launch.sandbox == "required":
            raise SandboxRequiredError(details={"reason": status.reason, "mend": status.mend})
        if not status.available:
            self._warn("programs run without a sandbox", str(status))
        return status.available

    def _warn(self, what: str, why: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            _log.warning(what, reason=why)


def _end_rest(kept: Kept, launch: Launch) -> None:
    """Without the shell nobody would hear of the rest of its tree."""
    if kept.identity.is_alive():
        pids = [*descendants(kept.identity.pid), kept.identity.pid]
        signal_each(pids, signal.SIGKILL)
    if kept.group is not None:
        kept.group.kill()
        kept.group.remove()
    elif launch.mark and not kept.sealed:
        kill_marked(launch.mark)
