"""Starting a worker: sealed by bubblewrap with nothing but the interpreter and the engine, or bare behind the fuses alone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runstead.platform.execution.script.seccomp import worker_filter

_SEALED: Final = Path(__file__).parent / "sealed"
_BOOT: Final = "import sys; sys.path[:0] = sys.argv[2:]; from sealed.worker import main; main(sys.argv[1])"
#: What each engine imports from elsewhere.
_PACKAGES: Final = {
    "quickjs": ("jsbox",),
    "convert": ("markdown_it", "mdurl", "dotpromptz_handlebars"),
    "lua": ("lupa",),
}
#: Where shared libraries are.
_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")


def start_worker(*, sealed: bool, engine: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A new worker and our end of its socket.

    :raises OSError: the system refuses.
    """
    ours, theirs = socket.socketpair()
    seccomp = _filter_descriptor() if sealed else None
    try:
        process = subprocess.Popen(
            _sealed_command(engine, seccomp) if sealed else _bare_command(engine),
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
            pass_fds=() if seccomp is None else (seccomp,),
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        if seccomp is not None:
            os.close(seccomp)
    ours.setblocking(False)
    return process, ours


def _filter_descriptor() -> int | None:
    """A pipe that bubblewrap reads the filter from; the filter is shorter than what a pipe holds."""
    program = worker_filter()
    if program is None:
        return None
    reading, writing = os.pipe()
    os.write(writing, program)
    os.close(writing)
    return reading


def _python(engine: str, *paths: str) -> list[str]:
    # The interpreter itself, not a virtual environment's link to it. -I: no environment, no user site; -S: no site-packages, so
    # that only what is named can be imported; -B: writes nothing.
    return [_interpreter(), "-I", "-S", "-B", "-c", _BOOT, engine, *paths]


def _interpreter() -> str:
    return os.path.realpath(sys.executable)


def _packages(engine: str) -> list[Path]:
    """Folders of the packages that an engine imports."""
    folders = []
    for name in _PACKAGES[engine]:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise OSError(f"the package {name} is not installed")
        folders.append(Path(spec.origin).parent)
    return folders


def _paths(packages: list[Path]) -> list[str]:
    """Packages of which only an extension module inside is imported."""
    return [str(one) for one in packages if one.name == "jsbox"]


def _bare_command(engine: str) -> list[str]:
    packages = _packages(engine)
    return _python(engine, str(_SEALED.parent), *_paths(packages), *(str(one.parent) for one in packages))


def _sealed_command(engine: str, seccomp: int | None) -> list[str]:
    isolation = ["--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--hostname", "worker"]
    packages = _packages(engine)
    binds = [word for one in packages for word in ("--ro-bind", str(one), f"/app/{one.name}")]
    return [
        shutil.which("bwrap") or "bwrap",
        *isolation,
        *(() if seccomp is None else ("--seccomp", str(seccomp))),
        *_system(),
        *_runtime(),
        *binds,
        *("--ro-bind", str(_SEALED), "/app/sealed"),
        *("--remount-ro", "/", "--chdir", "/app", "--"),
        *_python(engine, "/app", *_paths([Path("/app", one.name) for one in packages])),
    ]


def _system() -> Iterator[str]:
    """Shared libraries, read-only."""
    for name in _LIBRARIES:
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    yield from ("--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")


def _runtime() -> Iterator[str]:
    """The interpreter and its standard library, without its site-packages."""
    executable = _interpreter()
    yield from ("--ro-bind", executable, executable)
    for name in dict.fromkeys(
        filter(None, (sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LIBPL")))
    ):
        for library in sorted(Path(str(name)).glob("libpython*.so*")):
            yield from ("--ro-bind", str(library), str(library))
    for name in dict.fromkeys((sysconfig.get_path("stdlib"), _platform_library())):
        if not any(Path(name).is_relative_to(library) for library in _LIBRARIES):
            yield from ("--ro-bind", name, name)
        for packages in ("site-packages", "dist-packages"):
            if (Path(name) / packages).is_dir():
                yield from ("--tmpfs", f"{name}/{packages}")


def _platform_library() -> str:
    # Of the interpreter itself: inside a virtual environment, sysconfig names a folder of that.
    base = {"platbase": sys.base_exec_prefix, "installed_platbase": sys.base_exec_prefix}
    return sysconfig.get_path("platstdlib", vars=base)
