"""The way into a program: ``/bin/sh`` enters its control group, takes its limits on itself and becomes the program.

No code of ours runs between fork and exec (``preexec_fn`` deadlocks with threads), and there is no moment at which the program
runs outside its group.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from runstead.kernel.limits import KIB
from runstead.platform.execution.process.cgroups import Group
from runstead.platform.execution.process.model import Launch


def entering_script(launch: Launch, group: Group | None) -> str:
    """What ``sh -ec SCRIPT sh argv…`` runs: a failure to enter ends it before the program begins."""
    return "; ".join([*_steps(launch, group), 'exec "$@"'])


def _steps(launch: Launch, group: Group | None) -> Iterator[str]:
    if "PWD" not in launch.env:
        # Shells add these by themselves.
        yield "unset PWD OLDPWD"
    if group is not None:
        for folder in group.distinct:
            yield f"echo 0 >{shlex.quote(str(folder / 'cgroup.procs'))}"
    limits = launch.limits
    yield "ulimit -c 0"
    if limits.cpu_seconds is not None:
        # The soft limit sends SIGXCPU, which a program may ignore; the hard one a second later does not ask.
        yield f"ulimit -St {limits.cpu_seconds}; ulimit -Ht {limits.cpu_seconds + 1}"
    if limits.memory_bytes is not None and (group is None or not group.limits("memory")):
        yield f"ulimit -v {limits.memory_bytes // KIB}"
    if limits.file_bytes is not None:
        # In blocks of 512 bytes, says POSIX.
        yield f"ulimit -f {-(-limits.file_bytes // 512)}"
    if limits.open_files is not None:
        yield f"ulimit -n {limits.open_files}"


def with_process_limit(
    launch: Launch, argv: tuple[str, ...], group: Group | None, *, sealed: bool
) -> tuple[str, ...]:
    """The number of processes, where no group counts them: by the user, and for root not at all (setrlimit(2))."""
    most = launch.limits.processes
    if most is None or os.getuid() == 0 or (group is not None and group.limits("pids")):
        return argv
    # Inside the sandbox the user's processes are counted anew.
    return ("/usr/bin/prlimit", f"--nproc={most if sealed else most + _own_processes()}", "--", *argv)


def _own_processes() -> int:
    uid = os.getuid()
    count = 0
    for entry in Path("/proc").iterdir():
        try:
            count += entry.name.isdigit() and entry.stat().st_uid == uid
        except OSError:
            continue
    return count
