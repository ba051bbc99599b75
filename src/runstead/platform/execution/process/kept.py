"""A program that outlives the server: its output waits in pipes that have names, its end in a file.

A shell stands around the program. It waits for the word to begin, so that nothing runs that is not written down; it holds both
ends of the pipes, so that the program, and what it wrote, are there when another server looks; it writes down the exit code,
and goes when it is told that everything was taken. While nobody reads, the program goes on until its pipe is full, then it waits.

What is taken out of a pipe is moved into a spool file by the kernel (splice(2)), and leaves the spool only when the reader says
that it has it for good: a server that is killed in between loses nothing, and its successor begins where it stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.platform.execution.process.cgroups import Group
from runstead.platform.execution.process.descriptors import handed_over
from runstead.platform.execution.process.entering import entering_script, with_process_limit
from runstead.platform.execution.process.identity import Identity
from runstead.platform.execution.process.model import Launch
from runstead.platform.execution.process.piped import outcome_of_status
from runstead.platform.execution.process.running import RunningProcess
from runstead.platform.execution.process.sandbox import resolve, sealed_argv
from runstead.platform.execution.process.spool import STREAMS, Spool
from runstead.platform.execution.process.tree import descendants, marked

#: Seconds in which what is left in the pipes is taken after the end.
DRAIN_SECONDS_MAX: Final = 30.0
#: Seconds until bubblewrap has said which process it started.
INFO_SECONDS_MAX: Final = 5.0
#: The descriptor on which it says so.
_INFO_FD: Final = 6
#: Who it is and how it was started.
_IDENTITY: Final = "identity.json"

#: Called with a piece of output, and where it ends in the spool; returns how many of the last bytes it has not taken for good.
OnKeptOutput = Callable[[bytes, int], Awaitable[int]]

_SHELL: Final = """
k=$1; shift
read -r go || exit 0
exec </dev/null 3<>"$k/stdout" 4<>"$k/stderr" 5<>"$k/end" 7<>"$k/gate"
( exec >&3 2>&4 3>&- 4>&- 5>&- 7>&-; {report}set -e; {enter} )
echo "$?" >"$k/status"
echo >&5
read -r bye <&7
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is written down of a kept program."""

    identity: Identity
    group: Group | None
    sealed: bool
    started_at: datetime

    def write(self, keep: Path) -> None:
        group = None if self.group is None else self.group.as_json()
        told = {"identity": str(self.identity), "group": group, "sealed": self.sealed}
        draft = keep / f"{_IDENTITY}.new"
        draft.write_text(json.dumps({**told, "started_at": rfc3339(self.started_at)}))
        draft.rename(keep / _IDENTITY)

    @classmethod
    def read(cls, keep: Path) -> Kept | None:
        """None: nothing was started from there."""
        try:
            told = json.loads((keep / _IDENTITY).read_text())
        except FileNotFoundError:
            return None
        identity = Identity.parse(told["identity"])
        assert identity is not None, "written by us"  # noqa: S101
        group = None if told["group"] is None else Group.of_json(told["group"])
        return cls(identity, group, told["sealed"], parse_rfc3339(told["started_at"]))


class KeptProcess(RunningProcess):
    """Started by :func:`spawn_kept`, or found again."""

    def __init__(
        self,
        launch: Launch,
        kept: Kept,
        *,
        process: subprocess.Popen[bytes] | None,
        clock: Clock,
        on_output: Mapping[str, OnKeptOutput],
        positions: Mapping[str, int],
    ) -> None:
        """:raises ProcessLookupError: it is not there any more."""
        super().__init__(launch, pid=kept.identity.pid, group=kept.group, sealed=kept.sealed, clock=clock)
        assert launch.keep is not None, "there is a folder"  # noqa: S101
        self.identity, self.started_at = kept.identity, kept.started_at
        self._keep = launch.keep
        self._process = process
        self._on_output = on_output
        self._pidfd = os.pidfd_open(self.pid)
        if process is None and not kept.identity.is_alive():
            os.close(self._pidfd)
            raise ProcessLookupError(self.pid)
        self._spools = {name: Spool(self._keep, name, positions.get(name, 0)) for name in STREAMS}
        self._end = os.open(self._keep / "end", os.O_RDWR | os.O_NONBLOCK)
        self._gate = os.open(self._keep / "gate", os.O_RDWR | os.O_NONBLOCK)
        loop = asyncio.get_running_loop()
        self._shell_gone: asyncio.Future[None] = loop.create_future()
        #: Streams that have something; None: nobody writes any more.
        self._ready: asyncio.Queue[str | None] = asyncio.Queue()
        for name in STREAMS:
            self._ready.put_nowait(name)
        loop.add_reader(self._end, self._has_ended)
        loop.add_reader(self._pidfd, self._shell_has_gone)
        self._watch()

    @property
    def _waits_to_begin(self) -> bool:
        return (
            self._process is not None and self._process.stdin is not None and not self._process.stdin.closed
        )

    def begin(self) -> None:
        """Let the program begin: now it is written down that it runs."""
        self._say(b"go\n")

    def _say(self, word: bytes) -> None:
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(word)
                self._process.stdin.close()

    def _has_ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._end)
        if not self._ended.done():
            self._ended.set_result(None)

    def _shell_has_gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        if self._process is not None:
            _, status, self._rusage = os.wait4(self.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
        self._shell_gone.set_result(None)
        self._has_ended()

    async def _watch_wall(self) -> None:
        if self._launch.limits.wall_seconds is not None:
            # Not by the times that were written down: clocks are set.
            await self._clock.sleep(max(0.0, self._launch.limits.wall_seconds - self.identity.age_seconds()))
            self._pass_limit("wall")

    def _moving(self) -> Iterable[Coroutine[Any, Any, None]]:
        return [self._pump()]

    async def _pump(self) -> None:
        """Both streams in the order in which they had something, until nobody writes and both are empty."""
        loop = asyncio.get_running_loop()

        def ready(name: str) -> None:
            loop.remove_reader(self._spools[name].pipe)
            self._ready.put_nowait(name)

        try:
            while (name := await self._ready.get()) is not None:
                if await self._move(name):
                    self._ready.put_nowait(name)
                else:
                    loop.add_reader(self._spools[name].pipe, ready, name)
            waiting = [self._ready.get_nowait() for _ in range(self._ready.qsize())]
            for last in dict.fromkeys([*waiting, *STREAMS]):
                while last is not None and await self._move(last):
                    pass
        finally:
            for spool in self._spools.values():
                loop.remove_reader(spool.pipe)

    async def _move(self, name: str) -> bool:
        spool = self._spools[name]
        chunk = await asyncio.to_thread(spool.take)
        if chunk:
            self._count(len(chunk))
            spool.held_back = await self._on_output[name](chunk, spool.position)
        return bool(chunk)

    async def _drain(self, moving: Sequence[asyncio.Future[None]]) -> None:
        self._ready.put_nowait(None)
        done, _ = await asyncio.wait(moving, timeout=DRAIN_SECONDS_MAX)
        for task in done:
            if error := task.exception():
                raise error

    async def _outcome(self) -> tuple[int | None, str | None]:
        status = await asyncio.to_thread(end_of_kept, self._keep)
        os.write(self._gate, b"bye\n")
        await asyncio.wait({self._shell_gone}, timeout=DRAIN_SECONDS_MAX)
        for spool in self._spools.values():
            spool.close()
        for descriptor in (self._end, self._gate, self._pidfd):
            os.close(descriptor)
        # Without a code, somebody has ended the shell itself.
        return status or (None, "SIGKILL")

    def _inner_pid(self) -> int | None:
        until = time.monotonic() + INFO_SECONDS_MAX
        while (
            self.sealed and not self._waits_to_begin and not self._ended.done() and time.monotonic() < until
        ):
            with contextlib.suppress(OSError, ValueError, KeyError):
                return int(json.loads((self._keep / "info").read_text())["child-pid"])
            time.sleep(0.005)
        return None

    def _bare_tree(self) -> Iterator[int]:
        """All but the shell, which has to tell the end."""
        yield from descendants(self.pid)
        if self._launch.mark:
            yield from (pid for pid in marked(self._launch.mark) if pid != self.pid)

    def _kill_tree(self) -> None:
        # The word that never came: the shell goes without having begun.
        self._say(b"")
        super()._kill_tree()


def end_of_kept(keep: Path) -> tuple[int | None, str | None] | None:
    """The exit code or the signal of a program that is not there any more; None: nobody has seen it."""
    with contextlib.suppress(OSError, ValueError):
        return outcome_of_status(int((keep / "status").read_text()), sealed=True)
    return None


def spawn_kept(
    launch: Launch, group: Group | None, *, sealed: bool, clock: Clock
) -> tuple[subprocess.Popen[bytes], Kept]:
    """Start the shell; the program begins with :meth:`KeptProcess.begin`.

    :raises StartError: there is no such program.
    :raises OSError: the system refuses.
    """
    keep = launch.keep
    assert keep is not None, "asked for by the launch"  # noqa: S101
    argv = with_process_limit(launch, (resolve(launch), *launch.argv[1:]), group, sealed=sealed)
    keep.mkdir(parents=True, mode=0o700)
    for name in (*STREAMS, "end", "gate"):
        os.mkfifo(keep / name, 0o600)
    shell = _SHELL.format(
        report=f'exec {_INFO_FD}>"$k/info"; ' if sealed else "", enter=entering_script(launch, group)
    )
    with handed_over(launch) as (env, descriptors):
        process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                shell,
                "sh",
                str(keep),
                *(sealed_argv(launch, argv, info=_INFO_FD) if sealed else argv),
            ],
            cwd=launch.working_dir,
            env=env,
            pass_fds=descriptors,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    kept = Kept(Identity.of(process.pid), group, sealed, clock.now())
    kept.write(keep)
    return process, kept
