"""What log events tell of people: whom they name in ``user_id``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from runstead.capabilities.logs import search
from runstead.capabilities.logs.tables import events
from runstead.kernel.privacy import DataClass, Person
from runstead.platform.storage.sql import Database

#: Events removed in one transaction.
BATCH_ROWS: Final = 500
#: Events copied out; more of them are counted.
COPIED_MAX: Final = 10_000


class LogsPersonalData:
    """Events that name somebody in ``user_id``, by id, name or mail address, are removed from rows and search index."""

    classes: Sequence[DataClass] = (
        DataClass(
            name="logs.events",
            description="Events that name somebody in user_id.",
            kind="personal",
            retention="logs.retention_days, or that of the project",
            erasure="removed",
        ),
        DataClass(
            name="logs.messages",
            description="What senders write into messages and context.",
            kind="content",
            retention="logs.retention_days, or that of the project",
            erasure="kept",
            reason="free text of senders; it ends with its retention",
        ),
    )

    def __init__(self, db: Database) -> None:
        self._db = db

    async def copy(self, person: Person) -> Mapping[str, Any]:
        query = (
            sa.select(events.c.id, events.c.ts, events.c.message, events.c.user_id)
            .where(events.c.user_id.in_(person.names))
            .order_by(events.c.seq)
            .limit(COPIED_MAX)
        )
        return await self._db.read(
            lambda connection: {"logs.events": [dict(row) for row in connection.execute(query).mappings()]}
        )

    async def erase(self, person: Person) -> Mapping[str, int]:
        some = sa.select(events.c.seq).where(events.c.user_id.in_(person.names)).limit(BATCH_ROWS)

        def work(connection: sa.Connection) -> int:
            seqs = connection.execute(some).scalars().all()
            if seqs:
                search.forget(connection, seqs)
                connection.execute(events.delete().where(events.c.seq.in_(seqs)))
            return len(seqs)

        total = 0
        while done := await self._db.write(work):
            total += done
        return {"logs.events": total}
