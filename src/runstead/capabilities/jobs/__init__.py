"""Start a command, watch its live output, kill it, run it again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.capabilities.jobs.assembly import capability
    from runstead.capabilities.jobs.model import Job, Status
    from runstead.capabilities.jobs.newjob import NewJob
    from runstead.capabilities.jobs.recording import TOPIC
    from runstead.capabilities.jobs.schedules.crontab import CarriedLine, read_crontab
    from runstead.capabilities.jobs.service import JobsService
    from runstead.capabilities.jobs.settings import SECTION, JobsSettings

__all__ = [
    "MIGRATIONS",
    "SECTION",
    "TOPIC",
    "CarriedLine",
    "Job",
    "JobsService",
    "JobsSettings",
    "NewJob",
    "Status",
    "capability",
    "read_crontab",
]

#: The folder of the Alembic revisions.
MIGRATIONS: Final = Path(__file__).parent / "migrations"

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "assembly": ["capability"],
            "model": ["Job", "Status"],
            "newjob": ["NewJob"],
            "recording": ["TOPIC"],
            "schedules.crontab": ["CarriedLine", "read_crontab"],
            "service": ["JobsService"],
            "settings": ["SECTION", "JobsSettings"],
        },
    )
