"""A process is named by its pid and its start time: a pid alone may belong to somebody else by now."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot (proc(5), field 22 of stat). None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the name in parentheses, which may itself hold blanks and parentheses.
    return int(stat.rpartition(")")[2].split()[19])


def is_same(pid: int | None, ticks: int | None) -> bool:
    """Whether this very process still runs."""
    return pid is not None and ticks is not None and start_ticks(pid) == ticks


def end_group(pid: int) -> None:
    """SIGKILL to the process group that this process leads."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
