"""The event that makes a job's result a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runstead.capabilities.jobs.model import Job
from runstead.kernel.clock import rfc3339

TOPIC: Final = "jobs.finished"


def event_of(job: Job) -> tuple[str, Mapping[str, Any]]:
    """The topic and ``{run_id, name, artifact, summary, finished_at}``. Later attempts are records of their own."""
    facts = job.as_json()
    kept = (
        "command", "status", "attempt", "exit_code", "signal", "reason", "started_at", "cpu_seconds", "max_rss_bytes",
        "lines", "last_line", "labels",
    )  # fmt: skip
    finished_at = rfc3339(job.stopped_at) if job.stopped_at else facts["created_at"]
    ended = (
        f"exit code {job.exit_code}"
        if job.exit_code is not None
        else job.signal or job.reason or "no exit code"
    )
    return TOPIC, {
        "run_id": job.id if job.attempt == 1 else f"{job.id}.{job.attempt}",
        "name": job.name,
        "artifact": {"job_id": job.id, **{name: facts[name] for name in kept if facts[name] is not None}},
        "summary": f"{job.status.value}: {ended}, {job.lines} lines",
        "finished_at": finished_at,
    }
