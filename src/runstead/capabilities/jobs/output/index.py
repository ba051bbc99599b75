"""The table of places in long logs."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from runstead.capabilities.jobs.output.files import Place
from runstead.capabilities.jobs.store import places
from runstead.platform.storage.sql import Database


class LogIndex:
    """Places of the logs of all jobs. A short log has none: it is read from its beginning."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def of(self, job_id: str, attempt: int) -> AttemptPlaces:
        """The places of one log."""
        return AttemptPlaces(self._db, job_id, attempt)


class AttemptPlaces:
    """The index of one attempt's log."""

    def __init__(self, db: Database, job_id: str, attempt: int) -> None:
        self._db = db
        self._job_id = job_id
        self._attempt = attempt
        self._mine = (places.c.job_id == job_id) & (places.c.attempt == attempt)

    async def by_seq(self, seq: int) -> Place | None:
        return await self._last(places.c.first_seq <= seq)

    async def by_time(self, at: float) -> Place | None:
        # Clocks are set: of places that say they are older, the one before the first that does not.
        newer = sa.select(sa.func.min(places.c.first_seq)).where(self._mine, places.c.first_at >= at)
        return await self._last(
            places.c.first_seq < sa.func.coalesce(newer.scalar_subquery(), sa.literal(2**62))
        )

    async def add(self, found: Sequence[Place]) -> None:
        """More of them, while the log grows."""
        await self._db.write(lambda connection: self._insert(connection, found))

    async def replace(self, found: Sequence[Place], *, first: int, last: int) -> None:
        """Those of these lines, as they were packed; none, where they were removed."""
        those = self._mine & places.c.first_seq.between(first, last)

        def work(connection: sa.Connection) -> None:
            connection.execute(places.delete().where(those))
            self._insert(connection, found)

        await self._db.write(work)

    def _insert(self, connection: sa.Connection, found: Sequence[Place]) -> None:
        rows = [
            {
                "job_id": self._job_id,
                "attempt": self._attempt,
                "first_seq": one.first_seq,
                "first_at": one.first_at,
                "start": one.start,
                "packed_start": one.packed_start,
            }
            for one in found
        ]
        if rows:
            connection.execute(places.insert(), rows)

    async def _last(self, condition: sa.ColumnElement[bool]) -> Place | None:
        columns = (places.c.first_seq, places.c.first_at, places.c.start, places.c.packed_start)
        query = sa.select(*columns).where(self._mine, condition).order_by(places.c.first_seq.desc()).limit(1)
        row = await self._db.read(lambda connection: connection.execute(query).mappings().first())
        return None if row is None else Place(**row)
