"""Forgetting: run folders that are too old, and the oldest of those that take too much room. Blocking; called on a thread."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from runstead.capabilities.endpoints.folders import DATE
from runstead.kernel.ids import is_uuid

#: Removed in one sweep; the rest waits for the next, so that a sweep ends in bounded time.
REMOVED_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did, and what is left."""

    removed: int
    removed_bytes: int
    kept_bytes: int


def sweep(
    root: Path, *, today: date, max_age_days: int, max_total_bytes: int, is_active: Callable[[str], bool]
) -> Swept:
    """Remove what is beyond age, then the oldest beyond the total. A run that is going on stays."""
    runs = [(folder, _size_of(folder)) for folder in _run_folders(root) if not is_active(folder.name)]
    oldest_day = (today - timedelta(days=max_age_days)).isoformat()
    total = sum(size for _, size in runs)
    removed = removed_bytes = 0
    for folder, size in runs:
        expired = folder.parent.parent.name < oldest_day
        if (not expired and total <= max_total_bytes) or removed >= REMOVED_MAX:
            break
        shutil.rmtree(folder, ignore_errors=True)
        total -= size
        removed += 1
        removed_bytes += size
        for parent in (folder.parent, folder.parent.parent):
            # Refused while something is in it, which is what is wanted.
            with contextlib.suppress(OSError):
                parent.rmdir()
    return Swept(removed=removed, removed_bytes=removed_bytes, kept_bytes=total)


def _run_folders(root: Path) -> Iterator[Path]:
    """All of them, the oldest first."""
    for day in _folders(root):
        if DATE.fullmatch(day.name):
            runs = (run for endpoint in _folders(day) for run in _folders(endpoint) if is_uuid(run.name))
            yield from sorted(runs, key=lambda run: run.name)


def _folders(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            found = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(found)


def _size_of(folder: Path) -> int:
    total = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
