"""Projects in the database."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from runstead.capabilities.logs.errors import SlugTakenError
from runstead.capabilities.logs.tables import events, projects
from runstead.kernel.trail import NoTrail, Trail
from runstead.platform.storage.sql import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRow:
    """A project as it is stored."""

    id: int
    slug: str
    name: str
    key_hash: str
    secret_sealed: bytes
    #: None: the server's default.
    minute_cap: int | None
    retention_days: int | None
    created_at: int
    updated_at: int
    deleted_at: int | None


class ProjectStore:
    """Rows of projects."""

    def __init__(self, db: Database, trail: Trail | None = None) -> None:
        self._db = db
        self._trail = trail or NoTrail()

    async def all(self) -> list[ProjectRow]:
        """All of them by slug; deleted ones too, as long as they have events."""
        statement = sa.select(projects).order_by(projects.c.slug)
        rows = await self._db.read(lambda connection: connection.execute(statement).mappings().all())
        return [_row(row) for row in rows]

    async def add(
        self,
        *,
        slug: str,
        name: str,
        key_hash: str,
        secret_sealed: bytes,
        settings: Mapping[str, Any],
        now: int,
    ) -> None:
        """Add a project.

        :raises SlugTakenError: the slug is another's.
        """
        values = {
            "slug": slug,
            "name": name,
            "key_hash": key_hash,
            "secret_sealed": base64.b64encode(secret_sealed).decode(),
            "created_at": now,
            "updated_at": now,
            **settings,
        }

        traced = self._trail.note("project.create", resource=f"log:{slug}")

        def work(connection: sa.Connection) -> None:
            # Not by the constraint alone: its error does not tell which one it was.
            if connection.execute(sa.select(projects.c.id).where(projects.c.slug == slug)).first():
                raise SlugTakenError
            connection.execute(sa.insert(projects).values(values))
            traced(connection)

        await self._db.write(work)

    async def change(
        self, project_id: int, values: Mapping[str, Any], *, now: int, action: str | None = None
    ) -> bool:
        """Change columns; whether the project is still there.

        :param action: what the trail calls it; None: it is not worth an entry.
        """
        traced = self._trail.note(action, resource=f"log:{project_id}") if action else None
        statement = (
            sa.update(projects)
            .where(projects.c.id == project_id, projects.c.deleted_at.is_(None))
            .values({**values, "updated_at": now})
        )

        def work(connection: sa.Connection) -> bool:
            found = connection.execute(statement).rowcount == 1
            if found and traced is not None:
                traced(connection)
            return found

        return await self._db.write(work)

    async def rekey(self, project_id: int, *, key_hash: str, secret_sealed: bytes, now: int) -> bool:
        """Replace key and secret; whether the project is still there."""
        sealed = base64.b64encode(secret_sealed).decode()
        values = {"key_hash": key_hash, "secret_sealed": sealed}
        return await self.change(project_id, values, now=now, action="project.rotate")

    async def delete(self, project_id: int, *, now: int) -> bool:
        """Free the slug and the key at once; the events follow in small steps. Whether it was still there."""
        gone = f"~{project_id}"
        values = {"slug": gone, "key_hash": gone, "secret_sealed": "", "deleted_at": now}
        return await self.change(project_id, values, now=now, action="project.delete")

    async def forget(self, project_id: int) -> None:
        """Remove a deleted project that has no events any more."""
        statement = sa.delete(projects).where(
            projects.c.id == project_id,
            projects.c.deleted_at.is_not(None),
            ~sa.exists(sa.select(events.c.seq).where(events.c.project_id == project_id)),
        )
        await self._db.write(lambda connection: connection.execute(statement).rowcount)

    async def count_events(self, ids: Sequence[int]) -> dict[int, int]:
        """How many events each has."""
        statement = (
            sa.select(events.c.project_id, sa.func.count())
            .where(events.c.project_id.in_(ids))
            .group_by(events.c.project_id)
        )
        rows = await self._db.read(lambda connection: connection.execute(statement).all())
        return {row[0]: row[1] for row in rows}


def _row(row: Any) -> ProjectRow:
    return ProjectRow(**{**row, "secret_sealed": base64.b64decode(row["secret_sealed"])})
