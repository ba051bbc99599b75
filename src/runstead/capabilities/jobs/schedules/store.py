"""The table of schedules. A time is taken by one server only, also of several over one database."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from runstead.capabilities.jobs.model import RETRY_SECONDS
from runstead.capabilities.jobs.schedules.model import (
    Plan,
    Schedule,
    ScheduleNotFoundError,
    TooManySchedulesError,
)
from runstead.capabilities.jobs.store import metadata
from runstead.kernel.clock import parse_rfc3339, rfc3339
from runstead.kernel.trail import NoTrail, Trail
from runstead.platform.storage.sql import Database

SCHEDULES_MAX: Final = 10_000

schedules = sa.Table(
    "jobs_schedules",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("cron", sa.Text, nullable=False),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("timeout_seconds", sa.Float, nullable=True),
    sa.Column("env", sa.Text, nullable=False),
    sa.Column("working_dir", sa.Text, nullable=True),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("retries", sa.Integer, nullable=False),
    # None: from before they could be said.
    sa.Column("retry_seconds", sa.Float, nullable=True),
    sa.Column("priority", sa.Integer, nullable=True),
    # None: those of the owner.
    sa.Column("secrets_of", sa.Text, nullable=True),
    sa.Column("missed", sa.Text, nullable=False),
    sa.Column("overlap", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("next_at", sa.Text, nullable=True),
    sa.Column("last_at", sa.Text, nullable=True),
    sa.Column("last_job", sa.Text, nullable=True),
    sa.Column("last_result", sa.Text, nullable=False),
    sa.Column("waiting", sa.Boolean, nullable=False),
    sa.Index("jobs_schedules_by_time", "next_at"),
)


class ScheduleStore:
    """Schedules by id."""

    def __init__(self, db: Database, trail: Trail | None = None) -> None:
        self._db = db
        self._trail = trail or NoTrail()

    async def insert(
        self, schedule_id: str, plan: Plan, *, owner: str, at: datetime, next_at: datetime | None
    ) -> None:
        """:raises TooManySchedulesError: there are :data:`SCHEDULES_MAX`."""
        traced = self._trail.note("schedule.create", resource=f"schedule:{schedule_id}")

        def work(connection: sa.Connection) -> None:
            if (connection.scalar(sa.select(sa.func.count()).select_from(schedules)) or 0) >= SCHEDULES_MAX:
                raise TooManySchedulesError
            connection.execute(
                schedules.insert().values(
                    id=schedule_id,
                    owner=owner,
                    created_at=rfc3339(at),
                    next_at=_text(next_at),
                    last_result="",
                    waiting=False,
                    **_columns(plan),
                )
            )
            traced(connection)

        await self._db.write(work)

    async def replace(self, schedule_id: str, plan: Plan, *, next_at: datetime | None) -> None:
        """:raises ScheduleNotFoundError: there is none."""
        traced = self._trail.note("schedule.change", resource=f"schedule:{schedule_id}")
        update = schedules.update().where(schedules.c.id == schedule_id)
        update = update.values(next_at=_text(next_at), waiting=False, **_columns(plan))

        def work(connection: sa.Connection) -> None:
            if not connection.execute(update).rowcount:
                raise ScheduleNotFoundError
            traced(connection)

        await self._db.write(work)

    async def enable(self, schedule_id: str, *, enabled: bool, next_at: datetime | None) -> None:
        """Switch it on or off; the rest of its plan stays.

        :raises ScheduleNotFoundError: there is none.
        """
        traced = self._trail.note(
            "schedule.change", resource=f"schedule:{schedule_id}", details={"enabled": enabled}
        )
        update = schedules.update().where(schedules.c.id == schedule_id)
        update = update.values(enabled=enabled, next_at=_text(next_at), waiting=False)

        def work(connection: sa.Connection) -> None:
            if not connection.execute(update).rowcount:
                raise ScheduleNotFoundError
            traced(connection)

        await self._db.write(work)

    async def delete(self, schedule_id: str) -> None:
        """:raises ScheduleNotFoundError: there is none."""
        traced = self._trail.note("schedule.delete", resource=f"schedule:{schedule_id}")

        def work(connection: sa.Connection) -> None:
            if not connection.execute(schedules.delete().where(schedules.c.id == schedule_id)).rowcount:
                raise ScheduleNotFoundError
            traced(connection)

        await self._db.write(work)

    async def get(self, schedule_id: str) -> Schedule:
        """:raises ScheduleNotFoundError: there is none."""
        query = schedules.select().where(schedules.c.id == schedule_id)
        row = await self._db.read(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            raise ScheduleNotFoundError(f"there is no schedule {schedule_id[:64]!r}")
        return _schedule(row)

    async def all(self) -> list[Schedule]:
        """Every schedule, the oldest first."""
        return await self._some(schedules.select().order_by(schedules.c.id))

    async def due(self, now: datetime) -> list[Schedule]:
        """Those whose time has come, or that wait."""
        come = (schedules.c.next_at <= rfc3339(now)) | schedules.c.waiting
        return await self._some(schedules.select().where(come).order_by(schedules.c.next_at))

    async def earliest(self) -> datetime | None:
        """When the next one is due."""
        query = sa.select(sa.func.min(schedules.c.next_at))
        text = await self._db.read(lambda connection: connection.scalar(query))
        return None if text is None else parse_rfc3339(text)

    async def take(self, schedule: Schedule, *, next_at: datetime | None) -> bool:
        """Take its present time, so that nobody else does; False: somebody has."""
        this = (schedules.c.id == schedule.id) & (schedules.c.next_at == _text(schedule.next_at))
        update = (
            schedules.update().where(this).values(next_at=_text(next_at), last_at=_text(schedule.next_at))
        )
        return await self._db.write(lambda connection: bool(connection.execute(update).rowcount))

    async def note(
        self, schedule_id: str, result: str, *, job: str | None = None, waiting: bool = False
    ) -> None:
        """Write down what became of a time."""
        values: dict[str, Any] = {"last_result": result[:500], "waiting": waiting}
        if job is not None:
            values["last_job"] = job
        update = schedules.update().where(schedules.c.id == schedule_id).values(**values)
        await self._db.write(lambda connection: connection.execute(update).rowcount)

    async def _some(self, query: sa.Select[Any]) -> list[Schedule]:
        return await self._db.read(
            lambda connection: [_schedule(row) for row in connection.execute(query).mappings()]
        )


def _columns(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "cron": plan.cron,
        "time_zone": plan.time_zone,
        "command": plan.command,
        "timeout_seconds": plan.timeout_seconds,
        "env": json.dumps(dict(plan.env)),
        "working_dir": plan.working_dir,
        "labels": json.dumps(dict(plan.labels)),
        "retries": plan.retries,
        "retry_seconds": plan.retry_seconds,
        "priority": plan.priority,
        "secrets_of": plan.secrets_of,
        "missed": plan.missed,
        "overlap": plan.overlap,
        "enabled": plan.enabled,
    }


def _schedule(row: sa.RowMapping) -> Schedule:
    plan = Plan(
        **{
            name: row[name]
            for name in ("name", "cron", "time_zone", "command", "timeout_seconds", "working_dir")
        },
        **{name: row[name] for name in ("retries", "missed", "overlap")},
        retry_seconds=RETRY_SECONDS if row["retry_seconds"] is None else row["retry_seconds"],
        priority=row["priority"] or 0,
        secrets_of=row["owner"] if row["secrets_of"] is None else row["secrets_of"],
        env=json.loads(row["env"]),
        labels=json.loads(row["labels"]),
        enabled=bool(row["enabled"]),
    )
    return Schedule(
        id=row["id"],
        plan=plan,
        owner=row["owner"],
        created_at=parse_rfc3339(row["created_at"]),
        next_at=_moment(row["next_at"]),
        last_at=_moment(row["last_at"]),
        last_job=row["last_job"],
        last_result=row["last_result"],
        waiting=bool(row["waiting"]),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_rfc3339(text)
