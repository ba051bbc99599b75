"""Files by name, with all their versions. A content is kept once for each app, however many versions and names it has."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from runstead.capabilities.apps.store import metadata
from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import ConflictError, NotFoundError, TooLargeError, UnprocessableError
from runstead.kernel.limits import MIB
from runstead.platform.storage.sql import Database

#: Of one file; it goes through memory.
ASSET_BYTES_MAX: Final = 16 * MIB
#: Files of one app.
ASSETS_MAX: Final = 2000
#: Versions of one file that are kept.
VERSIONS_KEPT: Final = 20
_NAME: Final = re.compile(r"[A-Za-z0-9_@~+ -][A-Za-z0-9._@~+ -]{0,127}")
_MIME: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}(; ?charset=[A-Za-z0-9_-]{1,32})?")
_TEXT: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".ts": "text/plain",
    ".tsx": "text/plain",
    ".jsx": "text/plain",
}

blobs = sa.Table(
    "apps_blobs",
    metadata,
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
assets = sa.Table(
    "apps_assets",
    metadata,
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("mime", sa.Text, nullable=False),
    # None: removed with this version.
    sa.Column("digest", sa.Text, nullable=True),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One version of a file, without its content."""

    name: str
    version: int
    mime: str
    digest: str
    bytes: int
    author: str
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "type": self.mime,
            "sha256": self.digest,
            "bytes": self.bytes,
            "author": self.author,
            "created_at": rfc3339(self.created_at),
        }


def asset_name(text: str) -> str:
    """A name in parts with slashes between them, as ``css/main.css``.

    :raises UnprocessableError: it is none.
    """
    parts = text.strip("/").split("/")
    if len(text) > 512 or not all(map(_NAME.fullmatch, parts)):
        raise UnprocessableError(
            f"{text[:64]!r} is no name of a file; as css/main.css, of A-Z a-z 0-9 . _ @ ~ + and -"
        )
    return "/".join(parts)


def mime_of(name: str, given: str = "") -> str:
    """The type that was given, if it is one, or what the name's ending says."""
    given = given.strip().lower()
    if given and _MIME.fullmatch(given):
        return given
    ending = f".{name.rpartition('.')[2]}"
    return _TEXT.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"


class AssetStore:
    """Reads and writes files of apps."""

    def __init__(self, db: Database, *, bytes_max: int, clock: Clock) -> None:
        """:param bytes_max: of all contents of one app."""
        self._db = db
        self._bytes_max = bytes_max
        self._clock = clock

    async def put(self, app_id: str, name: str, content: bytes, *, mime: str = "", author: str) -> Asset:
        """Keep a new version of a file; the same content again changes nothing.

        :raises UnprocessableError: the name is none.
        :raises TooLargeError: the file is too large.
        :raises ConflictError: the app keeps as much as it may.
        """
        name = asset_name(name)
        if len(content) > ASSET_BYTES_MAX:
            raise TooLargeError(f"{name} has {len(content)} bytes; {ASSET_BYTES_MAX} are allowed")
        digest, at = hashlib.sha256(content).hexdigest(), rfc3339(self._clock.now())
        row = {
            "mime": mime_of(name, mime),
            "digest": digest,
            "bytes": len(content),
            "author": author,
            "created_at": at,
        }

        def work(connection: sa.Connection) -> Asset:
            current = _current(connection, app_id, name)
            if current is not None and current["digest"] == digest and current["mime"] == row["mime"]:
                return _as_asset(dict(current))
            self._keep(connection, app_id, digest, content)
            version = _newest(connection, app_id, name) + 1
            if version == 1 and int(connection.scalar(_count(app_id)) or 0) >= ASSETS_MAX:
                raise ConflictError(f"the app has {ASSETS_MAX} files already")
            connection.execute(assets.insert().values(app_id=app_id, name=name, version=version, **row))
            _prune(connection, app_id, name, version)
            return _as_asset({"name": name, "version": version, **row})

        return await self._db.write(work)

    def _keep(self, connection: sa.Connection, app_id: str, digest: str, content: bytes) -> None:
        this = (blobs.c.app_id == app_id) & (blobs.c.digest == digest)
        if connection.scalar(sa.select(blobs.c.bytes).where(this)) is not None:
            return
        kept = connection.scalar(sa.select(sa.func.sum(blobs.c.bytes)).where(blobs.c.app_id == app_id)) or 0
        if int(kept) + len(content) > self._bytes_max:
            raise ConflictError(f"the files of the app may have {self._bytes_max} bytes (apps.asset_bytes)")
        connection.execute(
            blobs.insert().values(app_id=app_id, digest=digest, bytes=len(content), content=content)
        )

    async def remove(self, app_id: str, name: str, *, author: str) -> bool:
        """Remove a file; its versions stay. False: there is none."""

        def work(connection: sa.Connection) -> bool:
            current = _current(connection, app_id, name)
            if current is None:
                return False
            version, at = _newest(connection, app_id, name) + 1, rfc3339(self._clock.now())
            gone = {"mime": current["mime"], "digest": None, "bytes": 0, "author": author, "created_at": at}
            connection.execute(assets.insert().values(app_id=app_id, name=name, version=version, **gone))
            return True

        return await self._db.write(work)

    async def list(self, app_id: str) -> Sequence[Asset]:
        """The files that there are now, by name."""
        newest = (
            sa.select(assets.c.name, sa.func.max(assets.c.version).label("version"))
            .where(assets.c.app_id == app_id)
            .group_by(assets.c.name)
            .subquery()
        )
        query = (
            sa.select(assets)
            .join(newest, (assets.c.name == newest.c.name) & (assets.c.version == newest.c.version))
            .where((assets.c.app_id == app_id) & assets.c.digest.is_not(None))
            .order_by(assets.c.name)
        )
        return await self._db.read(
            lambda connection: [_as_asset(dict(row)) for row in connection.execute(query).mappings()]
        )

    async def versions(self, app_id: str, name: str) -> Sequence[Asset]:
        """All versions of a file that are kept, the newest first; a removal is not one."""
        query = (
            assets.select()
            .where((assets.c.app_id == app_id) & (assets.c.name == name) & assets.c.digest.is_not(None))
            .order_by(assets.c.version.desc())
        )
        return await self._db.read(
            lambda connection: [_as_asset(dict(row)) for row in connection.execute(query).mappings()]
        )

    async def find(self, app_id: str, name: str) -> Asset | None:
        """A file as it is now."""

        def work(connection: sa.Connection) -> Asset | None:
            row = _current(connection, app_id, name)
            return None if row is None else _as_asset(dict(row))

        return await self._db.read(work)

    async def content(self, app_id: str, digest: str) -> bytes:
        """:raises NotFoundError: it is gone."""
        query = sa.select(blobs.c.content).where((blobs.c.app_id == app_id) & (blobs.c.digest == digest))
        found = await self._db.read(lambda connection: connection.scalar(query))
        if found is None:
            raise NotFoundError("the file is gone")
        return bytes(found)

    async def texts(self, app_id: str, manifest: Mapping[str, str]) -> dict[str, str]:
        """The contents of files (name → digest) that are text."""
        query = sa.select(blobs.c.digest, blobs.c.content).where(
            (blobs.c.app_id == app_id) & blobs.c.digest.in_(set(manifest.values()))
        )
        found = await self._db.read(
            lambda connection: {digest: bytes(content) for digest, content in connection.execute(query).all()}
        )
        return {
            name: found[digest].decode("utf-8", "replace")
            for name, digest in manifest.items()
            if digest in found
        }


def manifest_of(files: Iterable[Asset]) -> dict[str, str]:
    """Name → digest."""
    return {one.name: one.digest for one in files}


def _current(connection: sa.Connection, app_id: str, name: str) -> sa.RowMapping | None:
    query = (
        assets.select()
        .where((assets.c.app_id == app_id) & (assets.c.name == name))
        .order_by(assets.c.version.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return row if row is not None and row["digest"] is not None else None


def _newest(connection: sa.Connection, app_id: str, name: str) -> int:
    query = sa.select(sa.func.max(assets.c.version)).where(
        (assets.c.app_id == app_id) & (assets.c.name == name)
    )
    return int(connection.scalar(query) or 0)


def _count(app_id: str) -> Any:
    return sa.select(sa.func.count(sa.distinct(assets.c.name))).where(assets.c.app_id == app_id)


def _prune(connection: sa.Connection, app_id: str, name: str, version: int) -> None:
    old = (
        (assets.c.app_id == app_id) & (assets.c.name == name) & (assets.c.version <= version - VERSIONS_KEPT)
    )
    connection.execute(assets.delete().where(old))


def _as_asset(row: Mapping[str, Any]) -> Asset:
    return Asset(
        name=row["name"],
        version=row["version"],
        mime=row["mime"],
        digest=row["digest"],
        bytes=row["bytes"],
        author=row["author"],
        created_at=parse_rfc3339(row["created_at"]),
    )
