"""Starting a worker: sealed by bubblewrap with nothing but the interpreter and the engine, or bare with kernel limits."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from runstead.kernel.limits import MIB

#: Address space of a worker: the heap limits of its scripts, the interpreter, and room; a fuse, not the fence.
WORKER_ADDRESS_BYTES_MAX: Final = 1024 * MIB
#: Files that a worker may hold open.
WORKER_OPEN_FILES_MAX: Final = 32

_SEALED: Final = Path(__file__).parent / "sealed"
_BOOT: Final = "import sys; sys.path[:0] = sys.argv[1:]; from sealed.worker import main; main()"
#: Packages of the environment that the worker imports.
_PACKAGES: Final = ("jsbox", "msgspec")


def start_worker(*, sealed: bool) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A new worker and our end of its socket.

    :raises OSError: the system refuses.
    """
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            _sealed_command() if sealed else _bare_command(),
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return process, ours


def _python(*paths: str) -> list[str]:
    # -I: no environment, no user site; -S: no site-packages, so that only what is bound can be imported; -B: writes nothing.
    return [sys.executable, "-I", "-S", "-B", "-c", _BOOT, *paths]


def _limits() -> list[str]:
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        return []
    return [
        prlimit,
        "--core=0",
        f"--as={WORKER_ADDRESS_BYTES_MAX}",
        f"--nofile={WORKER_OPEN_FILES_MAX}",
        "--fsize=0",
        "--",
    ]


def _locations() -> dict[str, Path]:
    found = {}
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise OSError(f"the package {name} is not installed")
        found[name] = Path(spec.origin).parent
    return found


def _bare_command() -> list[str]:
    roots = {str(path.parent) for path in _locations().values()}
    return [*_limits(), *_python(str(_SEALED.parent), *sorted(roots))]


def _sealed_command() -> list[str]:
    arguments = [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
        "--hostname",
        "worker",
        "--dir",
        "/tmp",  # noqa: S108 - of the sandbox, not of this machine
    ]
    arguments += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "lib", "lib64"):
        path = Path("/") / name
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            arguments += ["--ro-bind", str(path), str(path)]
    arguments += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--dev", "/dev"]
    for prefix in dict.fromkeys((sys.base_prefix, sys.prefix)):
        if not Path(prefix).is_relative_to("/usr"):
            arguments += _interpreter(Path(prefix))
    for name, path in _locations().items():
        arguments += ["--ro-bind", str(path), f"/app/{name}"]
    arguments += ["--ro-bind", str(_SEALED), "/app/sealed", "--chdir", "/app", "--"]
    return [*arguments, *_limits(), *_python("/app")]


def _interpreter(prefix: Path) -> list[str]:
    """The interpreter and the standard library of an installation outside /usr, without its site-packages."""
    arguments: list[str] = []
    for name in ("bin", "lib"):
        if (prefix / name).is_dir():
            arguments += ["--ro-bind", str(prefix / name), str(prefix / name)]
    if (prefix / "pyvenv.cfg").is_file():
        arguments += ["--ro-bind", str(prefix / "pyvenv.cfg"), str(prefix / "pyvenv.cfg")]
    packages = prefix / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    return [*arguments, "--tmpfs", str(packages)] if packages.is_dir() else arguments
