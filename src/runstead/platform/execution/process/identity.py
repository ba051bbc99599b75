"""A process for ever: its pid, when it started and in which boot; a pid alone may belong to somebody else by now."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """One process that ran or runs on this machine. As text: ``PID-TICKS-BOOT``."""

    pid: int
    #: Clock ticks from the boot to its start (proc(5), field 22 of stat).
    ticks: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        """:raises ProcessLookupError: there is no such process."""
        ticks = start_ticks(pid)
        if ticks is None:
            raise ProcessLookupError(pid)
        return cls(pid, ticks, boot_id())

    @classmethod
    def parse(cls, text: str) -> Identity | None:
        """What :meth:`__str__` wrote; None for anything else."""
        pid, _, rest = text.partition("-")
        ticks, _, boot = rest.partition("-")
        return cls(int(pid), int(ticks), boot) if pid.isdigit() and ticks.isdigit() and boot else None

    def __str__(self) -> str:
        return f"{self.pid}-{self.ticks}-{self.boot}"

    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return self.boot == boot_id() and start_ticks(self.pid) == self.ticks

    def age_seconds(self) -> float:
        """Since its start, by the clock that nobody can set."""
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        return max(0.0, uptime - self.ticks / os.sysconf("SC_CLK_TCK"))


def start_ticks(pid: int) -> int | None:
    """When a process started; None: there is none, or it has ended and nobody has asked how."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is the name in parentheses, which may itself hold blanks and parentheses.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


@functools.cache
def boot_id() -> str:
    """Of this boot of the machine, without dashes."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    except OSError:
        return "unknown"
