"""The walls around a program: bubblewrap, where it is to be had.

Inside: the system read-only, the working folder and what is declared, an own /tmp, an own process tree, no network unless
allowed, no environment but what is given. The server's data, other users' files and other processes do not exist there.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstead.kernel.errors import UnavailableError
from runstead.platform.execution.process.model import Launch, StartError

#: Seconds that the self-test may take.
SELF_TEST_SECONDS_MAX: Final = 10

#: What programs need of /etc: the loader's cache, certificates, names, time zone. No passwd, no host secrets.
_ETC: Final = (
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "ssl",
    "localtime",
    "timezone",
    "mime.types",
)
_ETC_NETWORK: Final = ("resolv.conf", "hosts", "nsswitch.conf", "services", "gai.conf", "host.conf")
_MERGED: Final = ("bin", "sbin", "lib", "lib64", "lib32")


class SandboxRequiredError(UnavailableError):
    """The sandbox is required, but this machine has none; `runstead doctor` says how to mend it."""

    code = "E_SANDBOX"


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """Whether programs can be sealed on this machine; if not, why, and what would mend it."""

    available: bool
    reason: str
    mend: str = ""

    def __str__(self) -> str:
        return self.reason if self.available else f"none, programs run unsealed: {self.reason}; {self.mend}"


@functools.cache
def sandbox_status() -> SandboxStatus:
    """Try it for real, once: bubblewrap may be installed and yet be refused by the kernel or a container."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return SandboxStatus(False, "bubblewrap is not installed", "apt-get install bubblewrap")
    command = [
        bwrap,
        *_system(network=False),
        "--unshare-pid",
        "--unshare-net",
        "--die-with-parent",
        "--",
        "/bin/true",
    ]
    try:
        test = subprocess.run(
            command, capture_output=True, timeout=SELF_TEST_SECONDS_MAX, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return SandboxStatus(False, f"bubblewrap did not run: {error}", "see `bwrap --version`")
    if test.returncode != 0:
        reason = test.stderr.decode(errors="replace").strip() or f"exit code {test.returncode}"
        return SandboxStatus(
            False,
            f"bubblewrap is refused here: {reason}",
            "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1; "
            "in a container: a seccomp profile that permits them)",
        )
    return SandboxStatus(True, "bubblewrap: no network, own process tree, read-only system")


def sealed_argv(launch: Launch, argv: tuple[str, ...], *, info: int) -> list[str]:
    """The argv that starts a program behind its walls.

    :param argv: of the program itself, as :func:`resolve` found it.
    :param info: the descriptor where bubblewrap reports the process that it starts.
    """
    isolation = [
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--die-with-parent",
    ]
    if not launch.limits.network:
        isolation.append("--unshare-net")
    return [
        shutil.which("bwrap") or "bwrap",
        *_system(network=launch.limits.network),
        *_binds(launch, argv[0]),
        *isolation,
        *("--chdir", str(launch.working_dir), "--info-fd", str(info), "--"),
        *argv,
    ]


def resolve(launch: Launch) -> str:
    """The path of the program.

    :raises StartError: when it is not found, or may not be executed.
    """
    name = launch.argv[0]
    if "/" in name:
        path = launch.working_dir / name
        if not path.is_file() or not os.access(path, os.X_OK):
            raise StartError(f"{name} is not a file that can be executed")
        return str(path)
    found = shutil.which(name, path=launch.env.get("PATH", os.defpath))
    if found is None:
        raise StartError(f"there is no program {name!r} on the PATH")
    return found


def _system(*, network: bool) -> list[str]:
    arguments = [
        "--ro-bind",
        "/usr",
        "/usr",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",  # noqa: S108
        "--dir",
        "/var/tmp",  # noqa: S108
    ]
    for name in _MERGED:
        path = Path("/") / name
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            arguments += ["--ro-bind", str(path), str(path)]
    for name in (*_ETC, *(_ETC_NETWORK if network else ())):
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return arguments


def _binds(launch: Launch, program: str) -> list[str]:
    readable = [launch.working_dir, *launch.readable, *_homes_of(program)]
    arguments: list[str] = []
    for path in dict.fromkeys(readable):
        arguments += ["--ro-bind-try", str(path), str(path)]
    inside: list[str] = []
    around: list[str] = []
    for path in launch.writable:
        within = any(path.is_relative_to(hidden) for hidden in launch.hidden)
        (inside if within else around).extend(("--bind", str(path), str(path)))
    arguments += around
    for path in launch.hidden:
        if any(path.is_relative_to(root) for root in (*readable, *launch.writable)):
            arguments += _mask(path)
    # A run's own folder lies inside the data folder that is hidden: it comes last.
    return arguments + inside


def _mask(path: Path) -> list[str]:
    """An empty folder in place of a folder, something unreadable in place of a file."""
    if path.is_dir():
        return ["--tmpfs", str(path)]
    return ["--ro-bind", os.devnull, str(path)] if path.exists() else []


def _homes_of(program: str) -> Iterator[Path]:
    """What a program outside /usr needs to run: its folder's parent (bin, lib), and for a virtual environment the real one."""
    for path in dict.fromkeys((Path(program), Path(program).resolve())):
        # Version managers such as pyenv keep small scripts in `shims` that look for the rest beside it.
        home = path.parent.parent if path.parent.name in ("bin", "shims") else path.parent
        if not path.is_relative_to("/usr") and home not in (Path("/"), Path.home()):
            yield home
    interpreter = Path(sys.base_prefix)
    if not interpreter.is_relative_to("/usr") and "python" in Path(program).name:
        yield interpreter
