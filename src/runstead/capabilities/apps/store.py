"""The tables of apps. A version is written once; only what became of it is added later."""

from __future__ import annotations

import hashlib
from datetime import datetime

import sqlalchemy as sa

from runstead.capabilities.apps.model import App, Version, VersionStatus
from runstead.capabilities.apps.ports import Release, release_nothing
from runstead.kernel.clock import parse_rfc3339, rfc3339
from runstead.kernel.trail import NoTrail, Trail
from runstead.platform.storage.sql import Database

metadata = sa.MetaData()
apps = sa.Table(
    "apps_apps",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("privileged", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("serving", sa.Integer, nullable=True),
    sa.Column("newest", sa.Integer, nullable=False),
)
versions = sa.Table(
    "apps_versions",
    metadata,
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=True),
)


#: Everything but the source, which is large.
_FACTS = [column for column in versions.c if column.name != "source"]


def digest_of(source: str) -> str:
    """SHA-256 of a source in UTF-8, in hexadecimal."""
    return hashlib.sha256(source.encode()).hexdigest()


class AppStore:
    """Reads and writes apps."""

    def __init__(self, db: Database, trail: Trail | None = None, release: Release | None = None) -> None:
        self._db = db
        self._trail = trail or NoTrail()
        self._released = release or release_nothing

    async def add_version(
        self, app_id: str, *, source: str, author: str, message: str, at: datetime
    ) -> tuple[App, Version]:
        """Write a new version, and the (restricted) app when it is the first."""
        traced = self._trail.note(
            "app.put", resource=f"app:{app_id}", details={"message": message, "sha256": digest_of(source)}
        )

        def work(connection: sa.Connection) -> tuple[App, Version]:
            known = _app(connection, app_id)
            number = known.newest + 1 if known else 1
            if known is None:
                connection.execute(
                    apps.insert().values(
                        id=app_id,
                        owner=author,
                        privileged=False,
                        created_at=rfc3339(at),
                        serving=None,
                        newest=number,
                    )
                )
            else:
                connection.execute(apps.update().where(apps.c.id == app_id).values(newest=number))
            connection.execute(
                versions.insert().values(
                    app_id=app_id,
                    number=number,
                    source=source,
                    digest=digest_of(source),
                    author=author,
                    message=message,
                    created_at=rfc3339(at),
                    status=VersionStatus.NEW,
                    error=None,
                )
            )
            app, version = _app(connection, app_id), _version(connection, app_id, number)
            assert app is not None and version is not None  # noqa: PT018, S101 - written above
            traced(connection)
            return app, version

        return await self._db.write(work)

    async def ready(self, app_id: str, number: int, *, privileged: bool) -> None:
        """The version serves from now on."""

        def work(connection: sa.Connection) -> None:
            _settle(connection, app_id, number, VersionStatus.READY, None)
            connection.execute(
                apps.update().where(apps.c.id == app_id).values(serving=number, privileged=privileged)
            )

        await self._db.write(work)

    async def failed(self, app_id: str, number: int, error: str) -> None:
        """The version does not serve, and why."""
        await self._db.write(
            lambda connection: _settle(connection, app_id, number, VersionStatus.FAILED, error)
        )

    async def set_privileged(self, app_id: str, privileged: bool) -> bool:
        """False when there is no such app."""
        traced = self._trail.note(
            "app.privilege", resource=f"app:{app_id}", details={"privileged": privileged}
        )

        def work(connection: sa.Connection) -> bool:
            update = apps.update().where(apps.c.id == app_id).values(privileged=privileged)
            found = bool(connection.execute(update).rowcount)
            if found:
                traced(connection)
            return found

        return await self._db.write(work)

    async def set_owner(self, app_id: str, owner: str) -> bool:
        """False when there is no such app."""
        traced = self._trail.note("app.owner", resource=f"app:{app_id}", details={"owner": owner})

        def work(connection: sa.Connection) -> bool:
            update = apps.update().where(apps.c.id == app_id).values(owner=owner)
            found = bool(connection.execute(update).rowcount)
            if found:
                traced(connection)
            return found

        return await self._db.write(work)

    async def delete(self, app_id: str) -> bool:
        """Remove an app and its versions; False when there is none."""
        traced = self._trail.note("app.delete", resource=f"app:{app_id}")

        def work(connection: sa.Connection) -> bool:
            connection.execute(versions.delete().where(versions.c.app_id == app_id))
            gone = bool(connection.execute(apps.delete().where(apps.c.id == app_id)).rowcount)
            if gone:
                connection.execute(sa.text("DELETE FROM apps_storage WHERE app_id = :app"), {"app": app_id})
                self._released(connection, app_id)
                traced(connection)
            return gone

        return await self._db.write(work)

    async def all(self) -> list[App]:
        """Every app, the oldest first."""
        query = apps.select().order_by(apps.c.created_at, apps.c.id)
        return await self._db.read(
            lambda connection: [_as_app(row) for row in connection.execute(query).mappings()]
        )

    async def owner_of(self, app_id: str) -> str | None:
        """None when there is no such app."""
        query = sa.select(apps.c.owner).where(apps.c.id == app_id)
        return await self._db.read(lambda connection: connection.scalar(query))

    async def get(self, app_id: str) -> App | None:
        return await self._db.read(lambda connection: _app(connection, app_id))

    async def version(self, app_id: str, number: int) -> Version | None:
        return await self._db.read(lambda connection: _version(connection, app_id, number))

    async def versions(self, app_id: str) -> list[Version]:
        """Newest first, without their sources."""
        query = sa.select(*_FACTS).where(versions.c.app_id == app_id).order_by(versions.c.number.desc())
        return await self._db.read(
            lambda connection: [_as_version(row) for row in connection.execute(query).mappings()]
        )


def _app(connection: sa.Connection, app_id: str) -> App | None:
    row = connection.execute(apps.select().where(apps.c.id == app_id)).mappings().first()
    return None if row is None else _as_app(row)


def _version(connection: sa.Connection, app_id: str, number: int) -> Version | None:
    this = (versions.c.app_id == app_id) & (versions.c.number == number)
    row = connection.execute(versions.select().where(this)).mappings().first()
    return None if row is None else _as_version(row)


def _settle(
    connection: sa.Connection, app_id: str, number: int, status: VersionStatus, error: str | None
) -> None:
    this = (versions.c.app_id == app_id) & (versions.c.number == number)
    connection.execute(versions.update().where(this).values(status=status, error=error))


def _as_app(row: sa.RowMapping) -> App:
    return App(**{**row, "created_at": parse_rfc3339(row["created_at"])})


def _as_version(row: sa.RowMapping) -> Version:
    facts = {name: value for name, value in row.items() if name != "app_id"}
    read = {"created_at": parse_rfc3339(row["created_at"]), "status": VersionStatus(row["status"])}
    return Version(**{"source": "", **facts, **read})
