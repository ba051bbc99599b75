"""What jobs tell of people: who started which command, and what it printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from runstead.capabilities.jobs.model import Status
from runstead.capabilities.jobs.retention import Forget
from runstead.capabilities.jobs.schedules.store import schedules
from runstead.capabilities.jobs.store import attempts, jobs, places
from runstead.capabilities.jobs.templates.store import templates
from runstead.kernel.privacy import DataClass, Person
from runstead.platform.storage.sql import Database

_UNFINISHED = tuple(status.value for status in Status if not status.is_final)


class JobsPersonalData:
    """Jobs of a person that have ended go with their output; one that still runs goes on as nobody's."""

    classes: Sequence[DataClass] = (
        DataClass(
            name="jobs.owned",
            description="Commands that somebody started, with parameters and output.",
            kind="personal",
            retention="until the job is removed, at the latest after jobs.max_age_days",
            erasure="removed",
        ),
        DataClass(
            name="jobs.running",
            description="Who started a job that has not ended.",
            kind="personal",
            retention="until the job is removed, at the latest after jobs.max_age_days",
            erasure="anonymised",
        ),
        DataClass(
            name="jobs.schedules",
            description="Who made a schedule; it goes on, without that person's own secrets.",
            kind="personal",
            retention="until the schedule is removed",
            erasure="anonymised",
        ),
        DataClass(
            name="jobs.templates",
            description="Who made a template; it can still be run, without that person's own secrets.",
            kind="personal",
            retention="until the template is removed",
            erasure="anonymised",
        ),
    )

    def __init__(self, db: Database, forget: Forget) -> None:
        self._db = db
        self._forget = forget

    async def copy(self, person: Person) -> Mapping[str, Any]:
        query = (
            sa.select(jobs.c.id, jobs.c.command, jobs.c.status, jobs.c.created_at)
            .where(jobs.c.owner == person.subject)
            .order_by(jobs.c.id)
        )
        planned = sa.select(schedules.c.id, schedules.c.cron, schedules.c.command).where(
            schedules.c.owner == person.subject
        )

        made = sa.select(templates.c.name, templates.c.definition).where(templates.c.owner == person.subject)
        queries = {"jobs.owned": query, "jobs.schedules": planned, "jobs.templates": made}

        def work(connection: sa.Connection) -> Mapping[str, Any]:
            return {
                name: [dict(row) for row in connection.execute(one).mappings()]
                for name, one in queries.items()
            }

        return await self._db.read(work)

    async def erase(self, person: Person) -> Mapping[str, int]:
        mine = jobs.c.owner == person.subject
        ended = mine & jobs.c.status.not_in(_UNFINISHED)

        def work(connection: sa.Connection) -> tuple[list[Any], Mapping[str, int]]:
            gone = connection.execute(
                sa.select(jobs.c.id, jobs.c.created_at, jobs.c.attempt).where(ended)
            ).all()
            ids = [row.id for row in gone]
            for table in (attempts, places):
                connection.execute(table.delete().where(table.c.job_id.in_(ids)))
            connection.execute(jobs.delete().where(ended))
            left = {
                name: _made_nobodys(connection, table, person.subject)
                for name, table in (
                    ("jobs.running", jobs),
                    ("jobs.schedules", schedules),
                    ("jobs.templates", templates),
                )
            }
            return list(gone), left

        gone, left = await self._db.write(work)
        for row in gone:
            await self._forget(row.id, row.created_at, row.attempt)
        return {"jobs.owned": len(gone), **left}


def _made_nobodys(connection: sa.Connection, table: sa.Table, subject: str) -> int:
    """Rows that had this owner. Their secrets are nobody's either; those of others that somebody wrote into them stay theirs."""
    connection.execute(table.update().where(table.c.secrets_of == subject).values(secrets_of=""))
    return connection.execute(table.update().where(table.c.owner == subject).values(owner="")).rowcount
