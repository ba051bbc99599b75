"""Where the output of jobs is kept: ``<YYYY-MM-DD>/script_<id>.log``; later attempts have their number before the suffix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runstead.capabilities.jobs.model import Job
from runstead.kernel.clock import rfc3339


class LogFiles:
    """The files below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, job: Job, attempt: int | None = None) -> Path:
        """Of one attempt; default: the present one."""
        return self.paths(job.id, rfc3339(job.created_at), attempt or job.attempt)[-1]

    def paths(self, job_id: str, created_at: str, attempts: int) -> Sequence[Path]:
        """Of so many attempts."""
        suffixes = ["", *(f".{number}" for number in range(2, attempts + 1))]
        return [self._folder / created_at[:10] / f"script_{job_id}{suffix}.log" for suffix in suffixes]
