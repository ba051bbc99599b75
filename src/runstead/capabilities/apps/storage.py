"""Texts by key: of an app, and of an app and one user."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from runstead.capabilities.apps.store import metadata
from runstead.kernel.clock import Clock, rfc3339
from runstead.kernel.errors import ConflictError, UnprocessableError
from runstead.kernel.limits import KIB
from runstead.platform.storage.sql import Database

KEY_CHARS_MAX: Final = 512
VALUE_BYTES_MAX: Final = 256 * KIB
#: Of one app, or of one app and user.
ITEMS_MAX: Final = 10_000

items = sa.Table(
    "apps_storage",
    metadata,
    sa.Column("app_id", sa.Text, primary_key=True),
    # "user:ID"; empty: everybody's.
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
)


class AppStorage:
    """Small things that an app keeps. Each write is durable when it returns; of two at once to one key, the later one stays."""

    def __init__(self, db: Database, *, bytes_max: int, clock: Clock) -> None:
        """:param bytes_max: of all values of one app."""
        self._db = db
        self._bytes_max = bytes_max
        self._clock = clock

    async def get(self, app_id: str, owner: str, key: str) -> str | None:
        query = sa.select(items.c.value).where(_is(app_id, owner) & (items.c.key == key))
        return await self._db.read(lambda connection: connection.scalar(query))

    async def set(self, app_id: str, owner: str, key: str, value: str) -> None:
        """Keep a text.

        :raises UnprocessableError: key or value is too large.
        :raises ConflictError: the app keeps as much as it may.
        """
        size = len(value.encode("utf-8", "replace"))
        if not 1 <= len(key) <= KEY_CHARS_MAX:
            raise UnprocessableError(f"a key has 1 to {KEY_CHARS_MAX} characters")
        if size > VALUE_BYTES_MAX:
            raise UnprocessableError(f"the value has {size} bytes; {VALUE_BYTES_MAX} are allowed")
        values = {"value": value, "bytes": size, "updated_at": rfc3339(self._clock.now())}
        this = _is(app_id, owner) & (items.c.key == key)
        others = sa.select(sa.func.coalesce(sa.func.sum(items.c.bytes), 0)).where(
            (items.c.app_id == app_id) & ~((items.c.owner == owner) & (items.c.key == key))
        )
        count = sa.select(sa.func.count()).where(_is(app_id, owner))

        def work(connection: sa.Connection) -> None:
            if int(connection.scalar(others) or 0) + size > self._bytes_max:
                raise ConflictError(
                    f"the app keeps as much as it may: {self._bytes_max} bytes (apps.storage_bytes)"
                )
            if connection.execute(items.update().where(this).values(**values)).rowcount:
                return
            if int(connection.scalar(count) or 0) >= ITEMS_MAX:
                raise ConflictError(f"there are {ITEMS_MAX} items already")
            connection.execute(items.insert().values(app_id=app_id, owner=owner, key=key, **values))

        await self._db.write(work)

    async def remove(self, app_id: str, owner: str, key: str) -> None:
        """Forget a text; it is no error when there is none."""
        gone = items.delete().where(_is(app_id, owner) & (items.c.key == key))
        await self._db.write(lambda connection: connection.execute(gone).rowcount)

    async def clear(self, app_id: str, owner: str) -> None:
        """Forget all of one owner."""
        gone = items.delete().where(_is(app_id, owner))
        await self._db.write(lambda connection: connection.execute(gone).rowcount)


class DryStorage:
    """What would be kept, over what is: for runs of which nothing stays."""

    def __init__(self, storage: AppStorage) -> None:
        self._storage = storage
        self._changed: dict[tuple[str, str, str], str | None] = {}
        self._cleared: set[tuple[str, str]] = set()

    async def get(self, app_id: str, owner: str, key: str) -> str | None:
        if (app_id, owner, key) in self._changed:
            return self._changed[app_id, owner, key]
        if (app_id, owner) in self._cleared:
            return None
        return await self._storage.get(app_id, owner, key)

    async def set(self, app_id: str, owner: str, key: str, value: str) -> None:
        self._changed[app_id, owner, key] = value

    async def remove(self, app_id: str, owner: str, key: str) -> None:
        self._changed[app_id, owner, key] = None

    async def clear(self, app_id: str, owner: str) -> None:
        self._changed = {key: value for key, value in self._changed.items() if key[:2] != (app_id, owner)}
        self._cleared.add((app_id, owner))


def _is(app_id: str, owner: str) -> sa.ColumnElement[bool]:
    return (items.c.app_id == app_id) & (items.c.owner == owner)
