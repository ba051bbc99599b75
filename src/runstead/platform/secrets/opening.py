"""From where the keys are to services that use them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from runstead.kernel.errors import ConflictError
from runstead.kernel.secret import Secret
from runstead.kernel.trail import Trail
from runstead.platform.secrets.keyring import Keyring
from runstead.platform.secrets.master_key import (
    KEY_FILE,
    MASTER_KEY_BYTES,
    VARIABLE,
    master_keys,
    write_key_file,
)
from runstead.platform.secrets.rotation import rewrap
from runstead.platform.secrets.sealer import AesGcmSealer
from runstead.platform.secrets.server_keys import passphrase_salt, server_key
from runstead.platform.storage.sql import Database

log = logging.getLogger(__name__)


@dataclass(slots=True)
class MasterKeys:
    """The master keys of a running server, and the keys under them."""

    db: Database
    keyring: Keyring
    #: Where they are kept; None when they come from outside, and can only be changed there.
    file: Path | None
    keys: list[bytes]
    _turn: asyncio.Lock

    async def server_key(self, purpose: str) -> bytes:
        """A key of the server itself: the same for a purpose, whichever master key wraps it."""
        return await server_key(self.db, self.keyring, purpose)

    async def sealer(self, purpose: str) -> AesGcmSealer:
        """What seals under :meth:`server_key`."""
        return AesGcmSealer(await self.server_key(purpose))

    async def rotate(self, trail: Trail) -> int:
        """Make another master key and wrap everything under it, while the server goes on; returns how many keys.

        The file holds both keys until all is wrapped: whenever the machine fails, the next start goes on.

        :raises ConflictError: the key is not in a file of ours.
        """
        if self.file is None:
            raise ConflictError(
                f"the master key comes from outside: put the new one before it, as first line of {VARIABLE} or of what the "
                "command prints, and start the server again; it wraps everything anew, and then the old line can go"
            )
        async with self._turn:
            fresh = os.urandom(MASTER_KEY_BYTES)
            keys = [fresh, *self.keys]
            await asyncio.to_thread(write_key_file, self.file, keys)
            self.keys = keys
            self.keyring.lead(fresh)
            traced = trail.note("secret.master", details={"key": self.keyring.current})
            await self.db.write(traced)
            return await self._settle()

    async def _settle(self) -> int:
        done = await rewrap(self.db, self.keyring)
        if self.file is not None and len(self.keys) > 1:
            await asyncio.to_thread(write_key_file, self.file, self.keys[:1])
            self.keyring.drop_others()
            self.keys = self.keys[:1]
        return done

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Finish a change that was begun: by us before a fall, or by the operator who put another key first."""
        if len(self.keys) > 1:
            async with self._turn:
                done = await self._settle()
                log.info("%d keys were wrapped under the master key %s", done, self.keyring.current)
        yield


async def open_master_keys(
    db: Database, *, data_dir: Path, given: Secret | None = None, command: Sequence[str] = ()
) -> MasterKeys:
    """Read the keys, or make the first one.

    :raises MasterKeyError: they cannot be used.
    """
    salt = await passphrase_salt(db)
    keys = await asyncio.to_thread(master_keys, data_dir, given=given, command=command, salt=salt)
    file = None if given or command else data_dir / KEY_FILE
    return MasterKeys(db, Keyring(keys), file, keys, asyncio.Lock())
