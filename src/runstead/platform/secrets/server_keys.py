"""Keys of the server itself: each is made once, kept wrapped, and stays the same under another master key."""

from __future__ import annotations

import os

import sqlalchemy as sa

from runstead.platform.secrets.keyring import Keyring
from runstead.platform.secrets.master_key import SALT_BYTES
from runstead.platform.secrets.tables import keys
from runstead.platform.storage.sql import Database

_SALT = "salt"


async def passphrase_salt(db: Database) -> bytes:
    """What makes the same passphrase another key on another server; made at the first start. No secret."""
    fresh = os.urandom(SALT_BYTES)

    def work(connection: sa.Connection) -> bytes:
        found = connection.scalar(sa.select(keys.c.wrapped).where(keys.c.name == _SALT))
        if found is not None:
            return bytes(found)
        connection.execute(keys.insert().values(name=_SALT, master="", wrapped=fresh))
        return fresh

    return await db.write(work)


async def server_key(db: Database, keyring: Keyring, purpose: str) -> bytes:
    """The key for a purpose, of 32 bytes.

    :raises SealBrokenError: the master key is not the one of this database.
    """
    name = f"purpose:{purpose}"
    fresh = keyring.derive(purpose.encode())
    master, wrapped = keyring.wrap(fresh, name)

    def work(connection: sa.Connection) -> tuple[str, bytes]:
        row = connection.execute(keys.select().where(keys.c.name == name)).first()
        if row is not None:
            return row.master, bytes(row.wrapped)
        connection.execute(keys.insert().values(name=name, master=master, wrapped=wrapped))
        return master, wrapped

    found = await db.write(work)
    return keyring.unwrap(*found, name)
