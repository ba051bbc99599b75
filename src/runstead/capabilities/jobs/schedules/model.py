"""What a schedule is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from runstead.capabilities.jobs.model import RETRY_SECONDS
from runstead.kernel.errors import ConflictError, NotFoundError

#: What becomes of runs that fell into a time when the server was away: nothing, or one run for all of them.
Missed = Literal["skip", "once"]
#: What happens when the run before has not ended: this one is left out, waits, or ends the one before.
Overlap = Literal["skip", "queue", "kill"]


class ScheduleNotFoundError(NotFoundError):
    """There is no such schedule."""


class TooManySchedulesError(ConflictError):
    """There are as many schedules as there may be."""

    code = "E_TOO_MANY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be started, when."""

    name: str
    cron: str
    time_zone: str
    command: str
    timeout_seconds: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    retries: int = 0
    retry_seconds: float = RETRY_SECONDS
    priority: int = 0
    missed: Missed = "skip"
    overlap: Overlap = "skip"
    enabled: bool = True
    #: Whose secrets its environment names: those of whoever wrote the plan last, who need not own the schedule.
    secrets_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A plan, and how far it has come."""

    id: str
    plan: Plan
    owner: str
    created_at: datetime
    #: None: never, or it is switched off.
    next_at: datetime | None
    last_at: datetime | None
    last_job: str | None
    #: What became of the last time: ``started``, ``skipped: …``, ``failed: …``.
    last_result: str
    #: A run waits for the one before to end.
    waiting: bool
