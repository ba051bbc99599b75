"""The tables of apps. A version is written once; only what became of it is added later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from runstead.capabilities.apps.errors import VersionConflictError
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
    sa.Column("main", sa.Text, nullable=False, server_default="app.js"),
    # JSON: name → digest.
    sa.Column("files", sa.Text, nullable=False, server_default="{}"),
    # JSON: a list of texts.
    sa.Column("tags", sa.Text, nullable=False, server_default="[]"),
    sa.Column("compiled", sa.Text, nullable=True),
)


#: Tables whose rows end with their app.
_OF_AN_APP: Final = ("apps_storage", "apps_assets", "apps_blobs", "apps_timers", "apps_deliveries")
#: Versions of one app that are kept, beside those with a tag.
VERSIONS_KEPT: Final = 100
#: Everything but the sources, which are large.
_FACTS = [column for column in versions.c if column.name not in ("source", "compiled")]


def digest_of(content: str | bytes) -> str:
    """SHA-256 of a source (in UTF-8) or of a file, in hexadecimal."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an author handed in."""

    source: str
    main: str = "app.js"
    files: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    compiled: str | None = None


def _outdated(app_id: str, newest: int) -> sa.Delete:
    """Versions beyond what is kept, but for the one that serves and those that have a tag."""
    serving = sa.select(sa.func.coalesce(apps.c.serving, 0)).where(apps.c.id == app_id).scalar_subquery()
    return versions.delete().where(
        (versions.c.app_id == app_id)
        & (versions.c.number <= newest - VERSIONS_KEPT)
        & (versions.c.number != serving)
        & (versions.c.tags == "[]")
    )


class AppStore:
    """Reads and writes apps."""

    def __init__(self, db: Database, trail: Trail | None = None, release: Release | None = None) -> None:
        self._db = db
        self._trail = trail or NoTrail()
        self._released = release or release_nothing

    async def add_version(
        self,
        app_id: str,
        written: Written,
        *,
        author: str,
        message: str,
        at: datetime,
        expected: int | None = None,
    ) -> tuple[App, Version]:
        """Write a new version, and the (restricted) app when it is the first.

        :param expected: the version that has to be the newest.
        :raises VersionConflictError: it is not.
        """
        source = written.source
        traced = self._trail.note(
            "app.put", resource=f"app:{app_id}", details={"message": message, "sha256": digest_of(source)}
        )

        def work(connection: sa.Connection) -> tuple[App, Version]:
            known = _app(connection, app_id)
            if expected is not None and (known.newest if known else 0) != expected:
                raise VersionConflictError(expected, known.newest if known else 0)
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
                    main=written.main,
                    files=json.dumps(dict(written.files)),
                    tags=json.dumps(list(written.tags)),
                    compiled=written.compiled,
                )
            )
            connection.execute(_outdated(app_id, number))
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
                for table in _OF_AN_APP:
                    connection.execute(sa.text(f"DELETE FROM {table} WHERE app_id = :app"), {"app": app_id})  # noqa: S608
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
    facts |= {"files": json.loads(row["files"]), "tags": json.loads(row["tags"])}
    read = {"created_at": parse_rfc3339(row["created_at"]), "status": VersionStatus(row["status"])}
    return Version(**{"source": "", "compiled": None, **facts, **read})
