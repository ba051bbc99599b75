"""How a script file is started: which interpreter, which environment, what it must be able to read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Suffix -> interpreters to look for on PATH, the preferred one first.
INTERPRETERS: Mapping[str, tuple[str, ...]] = {
    ".py": ("python3", "python"),
    ".sh": ("bash", "sh"),
    ".js": ("node", "nodejs"),
}

#: What every sandbox shows anyway.
_SYSTEM_ROOTS = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ProgramError(Exception):
    """This cannot be started. The text tells what was found and what is allowed."""


def python_of(venv: Path) -> Path:
    """The interpreter of a virtual environment.

    :raises ProgramError: when it has none.
    """
    python = venv / "bin" / "python"
    if not os.access(python, os.X_OK):
        raise ProgramError(f"found {str(venv)!r}, allowed: a virtual environment (with bin/python)")
    return python


def argv_of(script: Path, venv: Path | None = None) -> tuple[str, ...]:
    """The command line that starts this script.

    A file that is executable and says how (a binary, or a ``#!`` line) starts itself; a known type is handed to its
    interpreter; the Python of a virtual environment goes before both.

    :raises ProgramError: when it does not exist or nothing can start it.
    """
    if not script.is_file():
        raise ProgramError(f"found {str(script)!r}, allowed: an existing file")
    if venv is not None and script.suffix == ".py":
        return (str(python_of(venv)), str(script))
    executable = os.access(script, os.X_OK)
    candidates = INTERPRETERS.get(script.suffix)
    if executable and (candidates is None or _has_shebang(script)):
        return (str(script),)
    if candidates is None:
        raise ProgramError(
            f"found {str(script)!r}, allowed: an executable file, or one that ends in .py .sh .js"
        )
    for candidate in candidates:
        if found := shutil.which(candidate):
            return (found, str(script))
    raise ProgramError(f"found {str(script)!r}, allowed when {' or '.join(candidates)} is on PATH")


def _has_shebang(script: Path) -> bool:
    try:
        with script.open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def environment_of(
    allowed: Sequence[str], server: Mapping[str, str], *, home: Path, venv: Path | None
) -> dict[str, str]:
    """The environment of a program: a small fixed one, and what the declaration lets through."""
    path = f"{venv / 'bin'}:{_SYSTEM_PATH}" if venv is not None else _SYSTEM_PATH
    environment = {"PATH": path, "LANG": "C.UTF-8", "HOME": str(home), "PYTHONUNBUFFERED": "1"}
    if venv is not None:
        environment["VIRTUAL_ENV"] = str(venv)
    environment.update({name: server[name] for name in allowed if name in server})
    return environment


def readable_roots(
    argv: Sequence[str], script: Path, working_dir: Path, venv: Path | None
) -> tuple[Path, ...]:
    """The folders outside of the system that the program cannot do without."""
    roots = [script.parent, script.resolve().parent, working_dir]
    if venv is not None:
        roots.append(venv)
    interpreters = [Path(argv[0])] if Path(argv[0]) != script else _shebang_interpreters(script)
    for interpreter in interpreters:
        # <prefix>/bin/python: as named (a virtual environment) and where its links lead (the installation).
        places = (interpreter, *_links(interpreter))
        roots.extend(
            place.parent.parent
            for place in places
            if place.parent.name == "bin" and not _is_below(place, _SYSTEM_ROOTS)
        )
    kept: list[Path] = []
    for root in roots:
        if root not in kept and not _is_below(root, _SYSTEM_ROOTS):
            kept.append(root)
    return tuple(kept)


def _is_below(path: Path, roots: Sequence[str]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _shebang_interpreters(script: Path) -> list[Path]:
    try:
        with script.open("rb") as file:
            line = file.readline(256)
    except OSError:
        return []
    words = line[2:].decode("utf-8", "replace").split() if line.startswith(b"#!") else []
    return [Path(words[0])] if words and words[0].startswith("/") else []


def _links(path: Path) -> list[Path]:
    """Where a symbolic link leads, step by step."""
    steps: list[Path] = []
    while path.is_symlink() and len(steps) < 8:
        path = Path(os.path.normpath(path.parent / path.readlink()))
        steps.append(path)
    return steps
