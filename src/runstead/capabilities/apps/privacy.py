"""What apps tell of people: who owns them, and who wrote which version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from runstead.capabilities.apps.store import apps, versions
from runstead.kernel.privacy import DataClass, Person
from runstead.platform.storage.sql import Database

_FOREVER: Final = "until the app is removed"


class AppsPersonalData:
    """Apps stay, for others use them; whose they were is forgotten. An administrator gives them a new owner."""

    classes: Sequence[DataClass] = (
        DataClass(
            name="apps.owner",
            description="Who owns an app.",
            kind="personal",
            retention=_FOREVER,
            erasure="anonymised",
        ),
        DataClass(
            name="apps.author",
            description="Who made a version of an app.",
            kind="personal",
            retention=_FOREVER,
            erasure="anonymised",
        ),
        DataClass(
            name="apps.source",
            description="The sources of apps.",
            kind="content",
            retention=_FOREVER,
            erasure="kept",
            reason="the work of the organization",
        ),
    )

    def __init__(self, db: Database) -> None:
        self._db = db

    async def copy(self, person: Person) -> Mapping[str, Any]:
        owned = sa.select(apps.c.id).where(apps.c.owner == person.subject).order_by(apps.c.id)
        written = (
            sa.select(versions.c.app_id, versions.c.number, versions.c.created_at, versions.c.message)
            .where(versions.c.author == person.subject)
            .order_by(versions.c.app_id, versions.c.number)
        )

        def work(connection: sa.Connection) -> Mapping[str, Any]:
            return {
                "apps.owner": list(connection.scalars(owned)),
                "apps.author": [dict(row) for row in connection.execute(written).mappings()],
            }

        return await self._db.read(work)

    async def erase(self, person: Person) -> Mapping[str, int]:
        owner = apps.update().where(apps.c.owner == person.subject).values(owner="")
        author = versions.update().where(versions.c.author == person.subject).values(author="")
        return await self._db.write(
            lambda connection: {
                "apps.owner": connection.execute(owner).rowcount,
                "apps.author": connection.execute(author).rowcount,
            }
        )
