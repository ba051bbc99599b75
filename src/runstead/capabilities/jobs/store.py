"""The tables of jobs. Every change of state names the states that it may come from, so that a final one is written once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from runstead.capabilities.jobs.model import RETRY_SECONDS, Job, Outcome, Status
from runstead.kernel.clock import parse_rfc3339, rfc3339
from runstead.kernel.trail import NoTrail, Trail
from runstead.platform.storage.sql import Database, Outbox

metadata = sa.MetaData()
jobs = sa.Table(
    "jobs_jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("argv", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("timeout_seconds", sa.Float, nullable=False),
    sa.Column("working_dir", sa.Text, nullable=False),
    sa.Column("env", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("retries", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("retried", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text, nullable=True),
    sa.Column("retry_seconds", sa.Float, nullable=True),
    sa.Column("priority", sa.Integer, nullable=True),
    sa.Column("template", sa.Text, nullable=True),
    sa.Column("rerun_of", sa.Text, nullable=True),
    sa.Column("secrets_of", sa.Text, nullable=True),
    sa.Column("node", sa.Text, nullable=True),
    sa.Index("jobs_jobs_by_status", "status", "id"),
)
attempts = sa.Table(
    "jobs_attempts",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text, nullable=True),
    sa.Column("stopped_at", sa.Text, nullable=True),
    sa.Column("exit_code", sa.Integer, nullable=True),
    sa.Column("signal", sa.Text, nullable=True),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Column("cpu_seconds", sa.Float, nullable=True),
    sa.Column("max_rss_bytes", sa.BigInteger, nullable=True),
    sa.Column("lines", sa.BigInteger, nullable=False),
    sa.Column("last_line", sa.Text, nullable=True),
    sa.Column("pid", sa.Integer, nullable=True),
    sa.Column("pid_ticks", sa.BigInteger, nullable=True),
    sa.Column("read_bytes", sa.BigInteger, nullable=True),
    sa.Column("written_bytes", sa.BigInteger, nullable=True),
)
#: Where parts of long logs begin.
places = sa.Table(
    "jobs_log_places",
    metadata,
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("first_seq", sa.BigInteger, primary_key=True),
    sa.Column("first_at", sa.Float, nullable=False),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("packed_start", sa.BigInteger, nullable=True),
)

_OF_ATTEMPT = [column for column in attempts.c if column.name not in ("job_id", "attempt", "status")]
_newest = sa.select(jobs, *_OF_ATTEMPT).join(
    attempts, (attempts.c.job_id == jobs.c.id) & (attempts.c.attempt == jobs.c.attempt)
)

_FINAL = [status for status in Status if status.is_final]

EventOf = Callable[[Job], tuple[str, Mapping[str, Any]] | None]


class JobStore:
    """Reads and writes jobs."""

    def __init__(self, db: Database, trail: Trail | None = None) -> None:
        self._db = db
        self._trail = trail or NoTrail()
        #: The server whose jobs these are; several may share a database.
        self.node = ""

    async def insert(self, job: Job, *, queue_limit: int) -> bool:
        """Write a queued job; False when as many as may wait do so already."""

        traced = self._trail.note(
            "job.start", resource=f"job:{job.id}", details={"command": job.command[:500]}
        )

        def work(connection: sa.Connection) -> bool:
            waiting = connection.scalar(
                sa.select(sa.func.count()).select_from(jobs).where(jobs.c.status == Status.QUEUED)
            )
            if (waiting or 0) >= queue_limit:
                return False
            connection.execute(
                jobs.insert().values(
                    id=job.id,
                    command=job.command,
                    argv=json.dumps(job.argv),
                    name=job.name,
                    created_at=rfc3339(job.created_at),
                    timeout_seconds=job.timeout_seconds,
                    working_dir=job.working_dir,
                    env=json.dumps(dict(job.env)),
                    labels=json.dumps(dict(job.labels)),
                    retries=job.retries,
                    status=Status.QUEUED,
                    attempt=1,
                    retried=0,
                    owner=job.owner,
                    retry_seconds=job.retry_seconds,
                    priority=job.priority,
                    template=job.template,
                    rerun_of=job.rerun_of,
                    secrets_of=job.secrets_of,
                    node=self.node,
                )
            )
            _insert_attempt(connection, job.id, 1)
            traced(connection)
            return True

        return await self._db.write(work)

    async def get(self, job_id: str) -> Job | None:
        return await self._db.read(lambda connection: _get(connection, job_id))

    async def page(self, *, status: Status | None, limit: int, before: str | None) -> list[Job]:
        """Newest first; ``before`` is the id of the last row of the page before."""
        query = _newest.order_by(jobs.c.id.desc()).limit(limit)
        if status is not None:
            query = query.where(jobs.c.status == status)
        if before is not None:
            query = query.where(jobs.c.id < before)
        return await self._db.read(lambda connection: [_job(row) for row in connection.execute(query)])

    async def with_status(self, status: Status) -> list[Job]:
        """All of one state that this server runs, oldest first."""
        mine = (jobs.c.node == self.node) | jobs.c.node.is_(None)
        query = _newest.where(jobs.c.status == status, mine).order_by(jobs.c.id)
        return await self._db.read(lambda connection: [_job(row) for row in connection.execute(query)])

    async def waiting_to_retry(self) -> list[Job]:
        """Those that failed and are to be tried again: a server that dies in between has left that to the next."""
        left = (jobs.c.status == Status.FAILED) & (jobs.c.retried < jobs.c.retries)
        query = _newest.where(left, jobs.c.node == self.node).order_by(jobs.c.id)
        return await self._db.read(lambda connection: [_job(row) for row in connection.execute(query)])

    async def asked_to_end(self, job_id: str, signal_name: str) -> None:
        """Write down that somebody wants it to end: how it did is another matter."""
        await self._db.write(
            self._trail.note("job.kill", resource=f"job:{job_id}", details={"signal": signal_name})
        )

    async def attempts(self, job_id: str) -> list[Mapping[str, Any]]:
        """What is known of each attempt, the first one first."""
        shown = [column for column in attempts.c if column.name not in ("job_id", "pid", "pid_ticks")]
        query = sa.select(*shown).where(attempts.c.job_id == job_id).order_by(attempts.c.attempt)
        return await self._db.read(
            lambda connection: [dict(row) for row in connection.execute(query).mappings()]
        )

    async def begin(self, job_id: str, *, at: datetime, pid: int, pid_ticks: int) -> bool:
        """queued → running. False when it is not queued any more."""

        def work(connection: sa.Connection) -> bool:
            return _move(
                connection,
                job_id,
                (Status.QUEUED,),
                Status.RUNNING,
                started_at=rfc3339(at),
                pid=pid,
                pid_ticks=pid_ticks,
            )

        return await self._db.write(work)

    async def finish(
        self,
        job_id: str,
        outcome: Outcome,
        *,
        at: datetime,
        lines: int = 0,
        last_line: str | None = None,
        event: EventOf | None = None,
    ) -> Job | None:
        """queued or running → a final state, with its event in the same transaction. None when it has one already."""

        def work(connection: sa.Connection) -> Job | None:
            moved = _move(
                connection,
                job_id,
                (Status.QUEUED, Status.RUNNING),
                outcome.status,
                stopped_at=rfc3339(at),
                exit_code=outcome.exit_code,
                signal=outcome.signal,
                reason=outcome.reason,
                cpu_seconds=outcome.cpu_seconds,
                max_rss_bytes=outcome.max_rss_bytes,
                read_bytes=outcome.read_bytes,
                written_bytes=outcome.written_bytes,
                lines=lines,
                last_line=last_line,
            )
            if not moved:
                return None
            job = _get(connection, job_id)
            if job is not None and event is not None and (made := event(job)) is not None:
                Outbox.add(connection, *made)
            return job

        return await self._db.write(work)

    async def again(self, job_id: str, *, retried: int) -> Job | None:
        """final → queued, as a new attempt. None when it has not ended (or is gone)."""

        def work(connection: sa.Connection) -> Job | None:
            changed = connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.status.in_(_FINAL))
                .values(status=Status.QUEUED, attempt=jobs.c.attempt + 1, retried=retried, node=self.node)
            )
            if not changed.rowcount:
                return None
            attempt = connection.scalar(sa.select(jobs.c.attempt).where(jobs.c.id == job_id))
            _insert_attempt(connection, job_id, int(attempt or 0))
            return _get(connection, job_id)

        return await self._db.write(work)

    async def ended_before(self, moment: datetime, *, limit: int) -> list[str]:
        """So many jobs of this server that ended before a time."""
        old = (
            (jobs.c.node == self.node) & jobs.c.status.in_(_FINAL) & (attempts.c.stopped_at < rfc3339(moment))
        )
        query = _newest.with_only_columns(jobs.c.id).where(old).limit(limit)
        return await self._db.read(lambda connection: list(connection.scalars(query)))

    async def remove_ended(self, ids: Sequence[str]) -> list[tuple[str, str, int]]:
        """Remove those of these that are this server's and have ended: (id, created_at, attempts) of each that is gone."""
        mine = jobs.c.id.in_(ids) & (jobs.c.node == self.node)
        return await self._db.write(lambda connection: _delete_ended(connection, mine))

    async def delete(self, job_id: str) -> bool:
        """Remove a job that has ended. False when it has not, or is gone."""
        traced = self._trail.note("job.delete", resource=f"job:{job_id}")

        def work(connection: sa.Connection) -> bool:
            gone = _delete_ended(connection, jobs.c.id == job_id)
            if gone:
                traced(connection)
            return bool(gone)

        return await self._db.write(work)


def _delete_ended(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[tuple[str, str, int]]:
    """Whether one has ended is looked at as it is deleted: meanwhile somebody may have started it again."""
    delete = jobs.delete().where(which, jobs.c.status.in_(_FINAL))
    found = connection.execute(delete.returning(jobs.c.id, jobs.c.created_at, jobs.c.attempt)).all()
    ids = [row.id for row in found]
    for table in (attempts, places):
        connection.execute(table.delete().where(table.c.job_id.in_(ids)))
    return [(row.id, row.created_at, row.attempt) for row in found]


def _insert_attempt(connection: sa.Connection, job_id: str, attempt: int) -> None:
    connection.execute(
        attempts.insert().values(job_id=job_id, attempt=attempt, status=Status.QUEUED, lines=0)
    )


def _move(
    connection: sa.Connection, job_id: str, allowed: tuple[Status, ...], to: Status, **facts: Any
) -> bool:
    changed = connection.execute(
        jobs.update().where(jobs.c.id == job_id, jobs.c.status.in_(allowed)).values(status=to)
    )
    if not changed.rowcount:
        return False
    newest = sa.select(jobs.c.attempt).where(jobs.c.id == job_id).scalar_subquery()
    connection.execute(
        attempts.update()
        .where(attempts.c.job_id == job_id, attempts.c.attempt == newest)
        .values(status=to, **facts)
    )
    return True


def _get(connection: sa.Connection, job_id: str) -> Job | None:
    row = connection.execute(_newest.where(jobs.c.id == job_id)).first()
    return None if row is None else _job(row)


def _job(row: sa.Row[Any]) -> Job:
    facts = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    del facts["node"]
    moments = {
        name: facts[name] and parse_rfc3339(facts[name])
        for name in ("created_at", "started_at", "stopped_at")
    }
    return Job(
        **{
            **facts,
            **moments,
            "argv": tuple(json.loads(facts["argv"])),
            "env": json.loads(facts["env"]),
            "labels": json.loads(facts["labels"]),
            "status": Status(facts["status"]),
            "owner": facts["owner"] or "",
            "secrets_of": (facts["owner"] or "") if facts["secrets_of"] is None else facts["secrets_of"],
            "priority": facts["priority"] or 0,
            "retry_seconds": RETRY_SECONDS if facts["retry_seconds"] is None else facts["retry_seconds"],
        }
    )
