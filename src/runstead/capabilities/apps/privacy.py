"""What apps tell of people: who owns them, and who wrote which version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from runstead.capabilities.apps.assets.store import assets
from runstead.capabilities.apps.storage import items
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
            name="apps.file_author",
            description="Who put a file of an app there.",
            kind="personal",
            retention="with the version of the file: the last twenty are kept",
            erasure="anonymised",
        ),
        DataClass(
            name="apps.personal_storage",
            description="What apps keep for one person.",
            kind="personal",
            retention=_FOREVER,
            erasure="removed",
        ),
        DataClass(
            name="apps.database",
            description="The tables of apps, their files, and the bodies of their webhooks.",
            kind="content",
            retention="webhooks: the last five hundred of each app; else until the app is removed",
            erasure="kept",
            reason="only the app knows what of it is about whom",
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

        files = (
            sa.select(assets.c.app_id, assets.c.name, assets.c.version, assets.c.created_at)
            .where(assets.c.author == person.subject)
            .order_by(assets.c.app_id, assets.c.name, assets.c.version)
        )
        kept = (
            sa.select(items.c.app_id, items.c.key, items.c.value)
            .where(items.c.owner == person.subject)
            .order_by(items.c.app_id, items.c.key)
        )

        def work(connection: sa.Connection) -> Mapping[str, Any]:
            return {
                "apps.file_author": [dict(row) for row in connection.execute(files).mappings()],
                "apps.personal_storage": [dict(row) for row in connection.execute(kept).mappings()],
                "apps.owner": list(connection.scalars(owned)),
                "apps.author": [dict(row) for row in connection.execute(written).mappings()],
            }

        return await self._db.read(work)

    async def erase(self, person: Person) -> Mapping[str, int]:
        owner = apps.update().where(apps.c.owner == person.subject).values(owner="")
        author = versions.update().where(versions.c.author == person.subject).values(author="")
        files = assets.update().where(assets.c.author == person.subject).values(author="")
        kept = items.delete().where(items.c.owner == person.subject)
        return await self._db.write(
            lambda connection: {
                "apps.file_author": connection.execute(files).rowcount,
                "apps.personal_storage": connection.execute(kept).rowcount,
                "apps.owner": connection.execute(owner).rowcount,
                "apps.author": connection.execute(author).rowcount,
            }
        )
