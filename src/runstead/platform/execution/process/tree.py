"""Finding and signalling all processes that belong to a program."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path


def descendants(pid: int) -> Iterator[int]:
    """Its children, theirs, and so on."""
    for child in _children(pid):
        yield child
        yield from descendants(child)


def _children(pid: int) -> Iterator[int]:
    """Each thread has those that it started (proc(5))."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for thread in threads:
        with contextlib.suppress(OSError):
            yield from map(int, (thread / "children").read_text().split())


def marked(mark: str) -> Iterator[int]:
    """Processes that were started with this ``NAME=value`` in their environment, as far as we may look."""
    wanted = mark.encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)


def signal_each(pids: Iterable[int], number: signal.Signals) -> None:
    """What has gone meanwhile, or is not ours, is passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def kill_marked(mark: str) -> None:
    """End them all, also those that are being forked meanwhile."""
    for _ in range(100):
        found = list(marked(mark))
        if not found:
            return
        signal_each(found, signal.SIGKILL)
