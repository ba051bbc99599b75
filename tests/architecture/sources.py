"""What the house rules look at: the files of this repository."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "runstead"

_IGNORED = frozenset({".git", ".venv", "node_modules", "__pycache__", "dist", "build", "data"})


@functools.cache
def repository_files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed; outside of a checkout everything that is there."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.CalledProcessError):
        found = [path for path in ROOT.rglob("*") if not _IGNORED.intersection(path.parts)]
    else:
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return tuple(sorted(path for path in found if path.is_file()))


def python_files(*folders: str) -> Iterator[Path]:
    """The Python files below these folders of the repository."""
    roots = [ROOT / folder for folder in folders]
    for path in repository_files():
        if path.suffix == ".py" and any(path.is_relative_to(root) for root in roots):
            yield path


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def place(path: Path, line: int) -> str:
    """``src/runstead/x.py:12``."""
    return f"{path.relative_to(ROOT).as_posix()}:{line}"


def module_of(path: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
