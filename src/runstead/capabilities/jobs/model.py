"""Jobs and their attempts, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from runstead.kernel.clock import rfc3339

if TYPE_CHECKING:
    # The command line reads this module, and starts no processes.
    from runstead.platform.execution.process import Exit

#: Seconds that a job may run when it does not say.
TIMEOUT_SECONDS_DEFAULT: Final = 8 * 3600
#: Stands in a job's environment for a value that was given for it alone and is in memory only.
GIVEN: Final = "given://"
#: Seconds before the first retry when a job does not say; doubled each time, up to the maximum.
RETRY_SECONDS: Final = 1.0
RETRY_SECONDS_MAX: Final = 3600.0


class Status(StrEnum):
    """Where a job is. Every attempt has exactly one final state, written once."""

    #: Waits for its turn.
    QUEUED = "queued"
    #: Its program runs.
    RUNNING = "running"
    #: Ended with exit code 0.
    COMPLETED = "completed"
    #: Ended with another exit code, by a signal, by a limit, or could not be started.
    FAILED = "failed"
    #: Ran longer than its timeout.
    TIMED_OUT = "timed_out"
    #: Ended because somebody asked for it, or because the server stopped.
    KILLED = "killed"
    #: The server went away while it ran; nobody saw its end.
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        return self not in (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended."""

    status: Status
    exit_code: int | None = None
    signal: str | None = None
    #: The limit that ended it, or why it could not be started.
    reason: str | None = None
    cpu_seconds: float | None = None
    max_rss_bytes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None


def outcome_of(end: Exit, *, killed: bool) -> Outcome:
    """The final state that the end of the program means. A kill counts only where the program did not end well by itself."""
    if end.limit == "wall":
        status = Status.TIMED_OUT
    elif end.code == 0 and end.limit is None:
        status = Status.COMPLETED
    elif killed and end.limit is None:
        status = Status.KILLED
    else:
        status = Status.FAILED
    return Outcome(
        status=status,
        exit_code=end.code,
        signal=end.signal,
        reason=f"limit: {end.limit}" if end.limit else None,
        cpu_seconds=end.cpu_seconds,
        max_rss_bytes=end.max_rss_bytes,
        read_bytes=end.read_bytes,
        written_bytes=end.written_bytes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command and the state of its newest attempt."""

    id: str
    command: str
    argv: tuple[str, ...]
    name: str
    status: Status
    created_at: datetime
    timeout_seconds: float
    working_dir: str
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    retries: int = 0
    attempt: int = 1
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    exit_code: int | None = None
    signal: str | None = None
    reason: str | None = None
    cpu_seconds: float | None = None
    max_rss_bytes: int | None = None
    lines: int = 0
    last_line: str | None = None
    pid: int | None = None
    #: Start time of the process in clock ticks since boot: with the pid it names one process for ever.
    pid_ticks: int | None = None
    #: Attempts before this one that failed and were retried by themselves since the last start or restart.
    retried: int = 0
    #: Who started it.
    owner: str = ""
    retry_seconds: float = RETRY_SECONDS
    #: Those with more go first.
    priority: int = 0
    #: The template that it was made from, and the job that it repeats.
    template: str | None = None
    rerun_of: str | None = None
    #: Whose secrets its environment names.
    secrets_of: str = ""
    #: From and to devices; None where the kernel does not count it.
    read_bytes: int | None = None
    written_bytes: int | None = None

    @property
    def will_retry(self) -> bool:
        """Whether another attempt follows by itself."""
        return self.status is Status.FAILED and self.retried < self.retries

    def as_json(self) -> dict[str, Any]:
        """What the API shows. Values of variables stay inside: they may be secrets."""

        def moment(value: datetime | None) -> str | None:
            return None if value is None else rfc3339(value)

        return {
            "id": self.id,
            "name": self.name,
            "command": self.command,
            "status": self.status.value,
            "attempt": self.attempt,
            "created_at": moment(self.created_at),
            "started_at": moment(self.started_at),
            "stopped_at": moment(self.stopped_at),
            "exit_code": self.exit_code,
            "signal": self.signal,
            "reason": self.reason,
            "cpu_seconds": self.cpu_seconds,
            "max_rss_bytes": self.max_rss_bytes,
            "read_bytes": self.read_bytes,
            "written_bytes": self.written_bytes,
            "lines": self.lines,
            "last_line": self.last_line,
            "timeout": self.timeout_seconds,
            "working_dir": self.working_dir,
            "env": sorted(self.env),
            "labels": dict(self.labels),
            "retries": self.retries,
            "retry_seconds": self.retry_seconds,
            "priority": self.priority,
            "template": self.template,
            "rerun_of": self.rerun_of,
            "owner": self.owner,
        }
