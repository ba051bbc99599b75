"""Where this process is in the trees of control groups, and whether it may make groups there."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstead.platform.execution.process.tree import descendants

#: What we use of version 1; ``cpuacct`` counts what ``cpu`` limits.
CONTROLLERS_V1: Final = ("cpu", "cpuacct", "memory", "pids", "blkio")
CONTROLLERS_V2: Final = ("cpu", "memory", "pids", "io")
#: The folder below the server's own group that holds those of its programs.
FOLDER: Final = "runstead"
#: The group that the server itself moves into, because a group of version 2 has either processes or groups that are limited.
SERVER: Final = "server"
#: Looks for processes that are still to be moved there.
MOVES_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The server's own group: a folder for each controller."""

    version: int
    #: By controller. Of version 2 they are all one folder, which is there under the empty name, too.
    folders: Mapping[str, Path]

    @property
    def controllers(self) -> tuple[str, ...]:
        return tuple(name for name in self.folders if name)

    def prepare(self) -> Mapping[str, Path]:
        """Make :data:`FOLDER` in each, with its controllers switched on; returns the parents.

        :raises OSError: it may not be written.
        """
        if self.version == 2:
            folder = self.folders[""]
            _make_room(folder)
            self.delegate(folder)
        usable = {}
        for controller, folder in self.folders.items():
            try:
                (folder / FOLDER).mkdir(exist_ok=True)
                if self.version == 2:
                    self.delegate(folder / FOLDER)
            except OSError:
                if self.version == 2 or controller in ("memory", "pids"):
                    raise
                continue
            usable[controller] = folder
        return usable

    def delegate(self, folder: Path) -> None:
        """Switch the controllers on for the groups inside."""
        if self.controllers:
            (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in self.controllers))


def hierarchies(proc: Path = Path("/proc/self")) -> Hierarchy:
    """Find out; nothing is changed.

    :raises OSError: there is none, or it is not ours to write.
    """
    groups = _own_groups((proc / "cgroup").read_text())
    mounts = _mounts((proc / "mountinfo").read_text())
    v1: dict[str, Path] = {
        name: folder
        for name in CONTROLLERS_V1
        if name in groups and name in mounts and (folder := _folder(mounts[name], groups[name])) is not None
    }
    v1 = {name: folder for name, folder in v1.items() if os.access(folder, os.W_OK)}
    if "pids" in v1 and "memory" in v1:
        return Hierarchy(1, v1)
    if "" in groups and "" in mounts and (folder := _folder(mounts[""], groups[""])) is not None:
        if folder.name == SERVER and _is_delegated(folder.parent):
            # A server before has moved whoever started us there, or systemd has (DelegateSubgroup=): they must not nest.
            folder = folder.parent
        if not os.access(folder, os.W_OK) or not os.access(folder / "cgroup.procs", os.W_OK):
            raise PermissionError(errno.EACCES, f"{folder} is not the server's to divide")
        offered = (folder / "cgroup.controllers").read_text().split()
        if "pids" in offered and "memory" in offered:
            return Hierarchy(2, {"": folder, **{name: folder for name in CONTROLLERS_V2 if name in offered}})
    raise FileNotFoundError(errno.ENOENT, "no tree of control groups can be written here")


def _own_groups(text: str) -> dict[str, str]:
    """The lines of /proc/self/cgroup, by controller; version 2 has the empty name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        found |= dict.fromkeys(names.split(","), path)
    return found


def _mounts(text: str) -> dict[str, tuple[str, Path]]:
    """What each controller's tree shows as its root, and where it is mounted (proc(5), mountinfo)."""
    found: dict[str, tuple[str, Path]] = {}
    for line in text.splitlines():
        front, _, back = line.partition(" - ")
        words, (kind, _, options) = front.split(), back.split(" ", 2)
        if kind == "cgroup2":
            found.setdefault("", (words[3], Path(words[4])))
        elif kind == "cgroup":
            for name in options.split(","):
                found.setdefault(name, (words[3], Path(words[4])))
    return found


def _folder(mount: tuple[str, Path], path: str) -> Path | None:
    root, point = mount
    if root == "/":
        return point / path.lstrip("/")
    return point / path[len(root) :].lstrip("/") if f"{path}/".startswith(f"{root}/") else None


def _make_room(folder: Path) -> None:
    """Move the server and what it has started out of its group into one inside.

    :raises OSError: somebody else's processes are there, too.
    """
    if not (folder / "cgroup.type").exists():
        return  # the root of the whole tree may have both
    (folder / SERVER).mkdir(exist_ok=True)
    # Again, for what was being started meanwhile.
    for _ in range(MOVES_MAX):
        pids = set(map(int, (folder / "cgroup.procs").read_text().split()))
        if not pids:
            return
        ours = pids & {os.getpid(), *descendants(os.getpid())}
        ours |= {pid for pid in pids if _session(pid) == os.getsid(0)}
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):
                (folder / SERVER / "cgroup.procs").write_text(str(pid))
        if not ours:
            break
    raise PermissionError(errno.EBUSY, f"other programs run in {folder}")


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _is_delegated(folder: Path) -> bool:
    """Whether a server of ours has divided it before, or systemd says that it may (systemd.resource-control(5), Delegate=)."""
    if (folder / FOLDER).is_dir():
        return True
    try:
        return os.getxattr(folder, "user.delegate") == b"1"
    except OSError:
        return False
