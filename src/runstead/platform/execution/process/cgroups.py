"""Control groups: what a program and all that it starts may use together, and the certain way to end them all.

Version 2 where the server's own group may be divided, version 1 where the kernel offers that, nothing where neither can be
written: then the limits of single processes (setrlimit(2)) have to do. The kernel's texts: cgroup-v2.rst and cgroup-v1/ in its
Documentation/admin-guide.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from runstead.platform.execution.process.hierarchies import FOLDER, Hierarchy, hierarchies
from runstead.platform.execution.process.identity import Identity
from runstead.platform.execution.process.model import ProcessLimits
from runstead.platform.execution.process.tree import signal_each

#: The prefix of groups that outlive their server.
KEPT: Final = "kept-"
#: Microseconds over which a share of a processor is counted.
PERIOD_MICROSECONDS: Final = 100_000
#: Bytes that a file of the kernel's is read in; most are shorter.
READ_BYTES: Final = 16_384
#: Seconds that the processes of a group have to go once they were killed.
GONE_SECONDS_MAX: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a group has used; None where its kernel does not count it."""

    cpu_seconds: float | None = None
    #: Memory at the highest, the cache of files that it read and wrote included.
    memory_peak_bytes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    #: Processes that were killed because the group's memory was used up, and forks that were refused.
    memory_kills: int = 0
    forks_refused: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """The group of one program: a folder in each hierarchy of version 1, or one of version 2."""

    #: By controller; several may share one folder.
    folders: Mapping[str, Path]
    version: int

    @property
    def distinct(self) -> tuple[Path, ...]:
        """Its folders, each once."""
        return tuple(dict.fromkeys(self.folders.values()))

    def limits(self, controller: str) -> bool:
        """Whether it can limit that."""
        return controller in self.folders

    def pids(self) -> list[int]:
        """The processes in it, as this process numbers them."""
        # Whoever is in it is in all of its folders: it entered before it began.
        folder = self.folders.get("pids") or self.distinct[0]
        with contextlib.suppress(ValueError):
            return [pid for pid in map(int, _text(folder / "cgroup.procs").split()) if pid > 0]
        return []

    def kill(self) -> None:
        """SIGKILL to every process, also one that is being forked; returns when none is left."""
        if self.version == 2 and _write(self.folders[""] / "cgroup.kill", "1"):
            self._wait_until_empty()
            return
        # Nothing can be forked any more: whoever is listed now is all there is.
        if "pids" in self.folders:
            _write(self.folders["pids"] / "pids.max", "0")
        self._wait_until_empty(killing=True)

    def _wait_until_empty(self, *, killing: bool = False) -> None:
        until = time.monotonic() + GONE_SECONDS_MAX
        while (left := self.pids()) and time.monotonic() < until:
            signal_each(left if killing else (), signal.SIGKILL)
            time.sleep(0.001)

    def usage(self) -> Usage:
        """What it has used so far."""
        return _usage_v2(self.folders[""]) if self.version == 2 else _usage_v1(self.folders)

    def cpu_seconds(self) -> float | None:
        """The processor time of all its processes, also of those that have ended."""
        return _cpu_v2(self.folders[""]) if self.version == 2 else _cpu_v1(self.folders)

    def remove(self) -> None:
        """Forget it; what still runs in it is left alone, and so is the group then."""
        for folder in self.distinct:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def as_json(self) -> dict[str, object]:
        return {"version": self.version, "folders": {name: str(path) for name, path in self.folders.items()}}

    @classmethod
    def of_json(cls, told: Mapping[str, object]) -> Group:
        folders, version = told["folders"], told["version"]
        assert isinstance(folders, Mapping), "written by as_json"  # noqa: S101
        assert isinstance(version, int), "written by as_json"  # noqa: S101
        return cls({name: Path(path) for name, path in folders.items()}, version)


class ControlGroups:
    """Makes the groups of one server.

    Guarantee: what a server that was killed left running is ended by the next one on this machine, but for groups that were made
    to outlive it (``kept``).
    """

    def __init__(self, hierarchy: Hierarchy, owner: Identity) -> None:
        self.hierarchy = hierarchy
        self._folders = {name: folder / FOLDER / str(owner) for name, folder in hierarchy.prepare().items()}
        for folder in self._distinct():
            folder.mkdir(exist_ok=True)
            if hierarchy.version == 2:
                hierarchy.delegate(folder)
        self._sweep(owner)

    def make(self, limits: ProcessLimits, *, kept: bool = False) -> Group:
        """A new group with these limits.

        :raises OSError: the kernel refuses.
        """
        name = (KEPT if kept else "") + uuid4().hex
        # Each hierarchy of version 1 costs its own calls: those that neither limit nor count anything here are left out.
        unused = set() if kept or self.hierarchy.version == 2 else {"blkio"}
        if limits.cpu_percent is None and self.hierarchy.version == 1:
            unused.add("cpu")
        group = Group(
            {
                controller: folder / name
                for controller, folder in self._folders.items()
                if controller not in unused
            },
            self.hierarchy.version,
        )
        for folder in group.distinct:
            folder.mkdir(0o755)
        (_limit_v2 if group.version == 2 else _limit_v1)(group.folders, limits)
        return group

    def close(self) -> None:
        """Remove what is empty."""
        for folder in self._distinct():
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _distinct(self) -> Iterable[Path]:
        return dict.fromkeys(self._folders.values())

    def _sweep(self, owner: Identity) -> None:
        for controller, folder in self._folders.items():
            for server in _folders(folder.parent):
                identity = Identity.parse(server.name)
                if identity is None or identity == owner or identity.is_alive():
                    continue
                for left in _folders(server):
                    if not left.name.startswith(KEPT):
                        group = Group({controller: left}, self.hierarchy.version)
                        group.kill()
                        group.remove()
                with contextlib.suppress(OSError):
                    server.rmdir()


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """Whether this machine lets the server make control groups."""

    available: bool
    reason: str
    mend: str = ""

    def __str__(self) -> str:
        return (
            self.reason
            if self.available
            else f"none, limits are those of single processes: {self.reason}; {self.mend}"
        )


_making = threading.Lock()


@functools.cache
def _groups() -> ControlGroups | OSError:
    try:
        return ControlGroups(hierarchies(), Identity.of(os.getpid()))
    except OSError as error:
        return error


def control_groups() -> ControlGroups | None:
    """Those of this process, made when they are first asked for; None where there are none to be had."""
    with _making:
        found = _groups()
    return found if isinstance(found, ControlGroups) else None


def close_control_groups() -> None:
    """Remove the empty folders of this process."""
    with _making:
        if _groups.cache_info().currsize:
            found = _groups()
            if isinstance(found, ControlGroups):
                found.close()
            _groups.cache_clear()


def group_status() -> GroupStatus:
    """Try it for real."""
    with _making:
        found = _groups()
    if isinstance(found, ControlGroups):
        names = ", ".join(sorted(found.hierarchy.controllers))
        return GroupStatus(True, f"control groups, version {found.hierarchy.version}: {names}")
    return GroupStatus(
        False, found.strerror or str(found), "run the server in a group of its own (systemd: Delegate=yes)"
    )


def _limit_v2(folders: Mapping[str, Path], limits: ProcessLimits) -> None:
    folder = folders[""]
    if limits.memory_bytes is not None and "memory" in folders:
        _set(folder / "memory.max", str(limits.memory_bytes))
        _write(folder / "memory.swap.max", "0")
        _write(folder / "memory.oom.group", "1")
    if limits.processes is not None and "pids" in folders:
        _set(folder / "pids.max", str(limits.processes))
    if limits.cpu_percent is not None and "cpu" in folders:
        _set(folder / "cpu.max", f"{_quota(limits.cpu_percent)} {PERIOD_MICROSECONDS}")


def _limit_v1(folders: Mapping[str, Path], limits: ProcessLimits) -> None:
    if limits.memory_bytes is not None and (memory := folders.get("memory")):
        _set(memory / "memory.limit_in_bytes", str(limits.memory_bytes))
        _write(memory / "memory.memsw.limit_in_bytes", str(limits.memory_bytes))
    if limits.processes is not None and (pids := folders.get("pids")):
        _set(pids / "pids.max", str(limits.processes))
    if limits.cpu_percent is not None and (cpu := folders.get("cpu")):
        _set(cpu / "cpu.cfs_period_us", str(PERIOD_MICROSECONDS))
        _set(cpu / "cpu.cfs_quota_us", str(_quota(limits.cpu_percent)))


def _quota(percent: int) -> int:
    return PERIOD_MICROSECONDS * percent // 100


def _cpu_v1(folders: Mapping[str, Path]) -> float | None:
    nanoseconds = _number(folders, "cpuacct", "cpuacct.usage")
    return None if nanoseconds is None else nanoseconds / 1e9


def _cpu_v2(folder: Path) -> float | None:
    microseconds = _numbers(folder / "cpu.stat").get("usage_usec")
    return None if microseconds is None else microseconds / 1e6


def _usage_v2(folder: Path) -> Usage:
    transferred = [word for word in _text(folder / "io.stat").split() if "=" in word]
    return Usage(
        cpu_seconds=_cpu_v2(folder),
        memory_peak_bytes=_number({"": folder}, "", "memory.peak"),
        read_bytes=_sum(transferred, "rbytes=") if (folder / "io.stat").exists() else None,
        written_bytes=_sum(transferred, "wbytes=") if (folder / "io.stat").exists() else None,
        memory_kills=_numbers(folder / "memory.events").get("oom_kill", 0),
        forks_refused=_numbers(folder / "pids.events").get("max", 0),
    )


def _usage_v1(folders: Mapping[str, Path]) -> Usage:
    nothing = Path("/nonexistent")
    lines = _text(folders.get("blkio", nothing) / "blkio.throttle.io_service_bytes").splitlines()
    moved = [f"{words[1]}={words[2]}" for words in map(str.split, lines) if len(words) == 3]
    return Usage(
        cpu_seconds=_cpu_v1(folders),
        memory_peak_bytes=_number(folders, "memory", "memory.max_usage_in_bytes"),
        read_bytes=_sum(moved, "Read=") if "blkio" in folders else None,
        written_bytes=_sum(moved, "Write=") if "blkio" in folders else None,
        memory_kills=_numbers(folders.get("memory", nothing) / "memory.oom_control").get("oom_kill", 0),
        forks_refused=_numbers(folders.get("pids", nothing) / "pids.events").get("max", 0),
    )


def _sum(words: Iterable[str], prefix: str) -> int:
    return sum(int(word.removeprefix(prefix)) for word in words if word.startswith(prefix))


def _numbers(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(folders: Mapping[str, Path], controller: str, name: str) -> int | None:
    text = _text(folders[controller] / name).strip() if controller in folders else ""
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    # Not by open(): this is done a dozen times for each program, and each call that may block costs a turn of the interpreter.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return b"".join(iter(lambda: os.read(descriptor, READ_BYTES), b"")).decode()
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> bool:
    try:
        _set(path, text)
    except OSError:
        return False
    return True


def _set(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _folders(parent: Path) -> Iterator[Path]:
    try:
        yield from (entry for entry in parent.iterdir() if entry.is_dir())
    except OSError:
        return
