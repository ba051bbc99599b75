"""A program that runs: its limits, its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from runstead.kernel.clock import Clock
from runstead.kernel.limits import KIB
from runstead.platform.execution.process.cgroups import GONE_SECONDS_MAX, Group, Usage
from runstead.platform.execution.process.model import Exit, Launch, LimitName
from runstead.platform.execution.process.threads import in_thread
from runstead.platform.execution.process.tree import descendants, kill_marked, marked, signal_each

#: Bytes read at once; a pipe holds as many, then the program waits: that is the back-pressure.
READ_BYTES: Final = 64 * KIB
#: Seconds after the end in which the output that is still in the pipes is read.
DRAIN_SECONDS_MAX: Final = 2.0
#: Seconds between the polite and the final signal when a limit was passed.
LIMIT_GRACE_SECONDS: Final = 1.0
#: Seconds between two looks at the processor time of a tree, at least.
CPU_LOOK_SECONDS_MIN: Final = 0.1

OnOutput = Callable[[bytes], Awaitable[None] | None]


class RunningProcess(ABC):
    """A program that was started. Await :meth:`wait` once or often; it must be awaited by somebody."""

    def __init__(self, launch: Launch, *, pid: int, group: Group | None, sealed: bool, clock: Clock) -> None:
        #: The process that the server started: the program itself, or what stands around it.
        self.pid = pid
        #: Whether it runs in the sandbox.
        self.sealed = sealed
        self.started_at: datetime = clock.now()
        self._launch = launch
        self._group = group
        self._clock = clock
        self._output_bytes = 0
        self._limit: LimitName | None = None
        self._killing: asyncio.Task[None] | None = None
        #: Done once the program is no more; what it left behind may still be there.
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: What its own account says, where it was our child; filled in by the end.
        self._rusage: resource.struct_rusage | None = None
        self._exit: asyncio.Task[Exit] | None = None

    async def wait(self) -> Exit:
        """How it ended, once it has and all its output was handed on."""
        assert self._exit is not None, "not started"  # noqa: S101
        return await asyncio.shield(self._exit)

    async def kill(self, signal_name: str = "TERM", grace_seconds: float = 5.0) -> None:
        """Ask the whole tree to end; after ``grace_seconds`` make it. Returns when it is gone."""
        number = getattr(signal, f"SIG{signal_name.removeprefix('SIG')}")
        await asyncio.to_thread(self._signal_tree, number)
        await asyncio.wait({self._ended}, timeout=grace_seconds)
        await asyncio.to_thread(self._kill_tree)
        await asyncio.wait({self._ended}, timeout=GONE_SECONDS_MAX)
        if not self._ended.done():
            # Never later: by then its number may be somebody else's.
            self._kill_outermost()
        await asyncio.wait({self._ended})

    def _watch(self) -> None:
        self._exit = asyncio.create_task(self._supervise(), name=f"process-{self.pid}")

    async def _supervise(self) -> Exit:
        moving = [asyncio.ensure_future(task) for task in self._moving()]
        for task in moving:
            task.add_done_callback(self._stop_if_failed)
        watching = [asyncio.ensure_future(task) for task in (self._watch_wall(), self._watch_cpu())]
        try:
            await asyncio.shield(self._ended)
            for task in watching:
                task.cancel()
            usage = await in_thread(self._clean)
            await self._drain(moving)
        finally:
            for task in (*watching, *moving):
                task.cancel()
            await asyncio.gather(*watching, *moving, return_exceptions=True)
            if self._killing is not None:
                await self._killing
            # Also where its output could not be taken: nothing of it may be left.
            code, signal_name = await self._outcome()
        cpu_seconds, rusage = usage.cpu_seconds, self._rusage
        if cpu_seconds is None and rusage is not None:
            cpu_seconds = rusage.ru_utime + rusage.ru_stime
        if self._limit is None and code != 0:
            self._limit = self._limit_of(signal_name, cpu_seconds or 0, usage)
        peak = usage.memory_peak_bytes
        if peak is None and rusage is not None:
            peak = rusage.ru_maxrss * KIB
        return Exit(
            code=code,
            signal=signal_name,
            limit=self._limit,
            cpu_seconds=cpu_seconds,
            max_rss_bytes=peak,
            started_at=self.started_at,
            ended_at=self._clock.now(),
            read_bytes=usage.read_bytes,
            written_bytes=usage.written_bytes,
        )

    def _stop_if_failed(self, moving: asyncio.Future[None]) -> None:
        """What nobody can read any more (a full disk, a fault of ours) must not run on."""
        if not moving.cancelled() and moving.exception() is not None and self._killing is None:
            self._killing = asyncio.create_task(self.kill(grace_seconds=LIMIT_GRACE_SECONDS))

    def _limit_of(self, signal_name: str | None, cpu_seconds: float, usage: Usage) -> LimitName | None:
        """Which of the kernel's limits a bad end means."""
        limits = self._launch.limits
        if signal_name in ("SIGXCPU", "SIGXFSZ"):
            return "cpu" if signal_name == "SIGXCPU" else "file_size"
        if signal_name == "SIGKILL" and limits.cpu_seconds is not None and cpu_seconds >= limits.cpu_seconds:
            return "cpu"
        if usage.memory_kills:
            return "memory"
        return "processes" if usage.forks_refused else None

    @abstractmethod
    def _moving(self) -> Iterable[Coroutine[Any, Any, None]]:
        """What moves its input and output while it runs."""

    @abstractmethod
    async def _drain(self, moving: Sequence[asyncio.Future[None]]) -> None:
        """Hand on what it left in its pipes."""

    @abstractmethod
    async def _outcome(self) -> tuple[int | None, str | None]:
        """Its exit code or the signal that ended it."""

    @abstractmethod
    def _inner_pid(self) -> int | None:
        """The first process in the sandbox, as the host numbers it; None: there is no sandbox, or it was never made."""

    def _clean(self) -> Usage:
        """End what outlived the program, and settle the account."""
        if self._group is None:
            if not self.sealed and self._launch.mark:
                kill_marked(self._launch.mark)
            return Usage()
        if self._group.pids():
            self._group.kill()
        usage = self._group.usage()
        self._group.remove()
        return usage

    def _count(self, more: int) -> None:
        self._output_bytes += more
        limit = self._launch.limits.output_bytes
        if limit is not None and self._output_bytes > limit:
            self._pass_limit("output")

    async def _watch_wall(self) -> None:
        if self._launch.limits.wall_seconds is not None:
            await self._clock.sleep(self._launch.limits.wall_seconds)
            self._pass_limit("wall")

    async def _watch_cpu(self) -> None:
        """The time of the whole tree: each process alone may stay below what the kernel allows it."""
        limit, group = self._launch.limits.cpu_seconds, self._group
        while limit is not None and group is not None and (used := group.cpu_seconds()) is not None:
            if used >= limit:
                self._pass_limit("cpu")
                break
            # Not before then can it be used up.
            await self._clock.sleep(max((limit - used) / (os.cpu_count() or 1), CPU_LOOK_SECONDS_MIN))

    def _pass_limit(self, limit: LimitName) -> None:
        if self._limit is None and not self._ended.done():
            self._limit = limit
            self._killing = asyncio.create_task(self.kill(grace_seconds=LIMIT_GRACE_SECONDS))

    def _signal_tree(self, number: signal.Signals) -> None:
        """Signal every process of the tree, but not the sandbox around it: were that to go first, the rest would get no grace."""
        if self._ended.done():
            return
        inner = self._inner_pid()
        if inner is not None:
            found = descendants(inner)
        elif self._group is not None:
            found = iter(sorted(self._group.pids()))
        else:
            found = self._bare_tree()
        # Parents first: a shell that sees its child end by a signal has something to say about it.
        signal_each(found, number)

    def _kill_tree(self) -> None:
        if self._ended.done():
            return
        if self._group is not None:
            self._group.kill()
        # In the sandbox the kernel ends the tree with its first process.
        inner = self._inner_pid()
        signal_each([*self._bare_tree()] if inner is None else [inner], signal.SIGKILL)

    def _kill_outermost(self) -> None:
        """The process that we started, and its group: the last resort."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _bare_tree(self) -> Iterator[int]:
        """Without walls: those that descend from it, and strays that carry its mark."""
        yield self.pid
        yield from descendants(self.pid)
        if self._launch.mark:
            yield from marked(self._launch.mark)
