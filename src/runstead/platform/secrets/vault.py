"""Secrets: put in once, used by the server, never shown again."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import sqlalchemy as sa

from runstead.kernel.background import background
from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import BadRequestError
from runstead.kernel.secret import Secret
from runstead.kernel.trail import Trail
from runstead.platform.identity.asking import asking
from runstead.platform.secrets.keyring import Keyring
from runstead.platform.secrets.model import (
    ID_PATTERN,
    SECRETS_PER_SCOPE_MAX,
    SERVER_SCOPE,
    VALUE_BYTES_MAX,
    SecretEntry,
    SecretExistsError,
    SecretExpiredError,
    SecretNotFoundError,
    SecretUse,
    SecretVersion,
    TooManySecretsError,
    named,
)
from runstead.platform.secrets.rotation import context_of
from runstead.platform.secrets.sealer import KEY_BYTES, AesGcmSealer
from runstead.platform.secrets.settings import SecretsSettings
from runstead.platform.secrets.store import PRESENT, SELECT, entry_of, find, is_, need
from runstead.platform.secrets.tables import items, uses, versions
from runstead.platform.secrets.usage import UsageCounter
from runstead.platform.storage.sql import Database

log = logging.getLogger(__name__)

#: Seconds between two looks for secrets that will expire.
LOOK_SECONDS: Final = 3600.0


class Masker(Protocol):
    """Masks a value in everything that is written down from now on."""

    def register(self, secret: Secret) -> object: ...


class Vault:
    """Secrets by scope (``server``, ``app:ID``, ``user:ID``) and id.

    Guarantee: a value is sealed under a key of its own before it reaches the database, is masked in everything that the server
    writes from the moment it is known to this process, and leaves only through :meth:`use`. Whoever can read both the database
    and the master key can read the values.
    """

    def __init__(
        self,
        db: Database,
        *,
        keyring: Keyring,
        settings: SecretsSettings,
        trail: Trail,
        masker: Masker,
        clock: Clock,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._settings = settings
        self._trail = trail
        self._masker = masker
        self._clock = clock
        self._usage = UsageCounter(db, trail=trail, clock=clock)

    async def create(
        self,
        secret_id: str,
        value: Secret,
        *,
        scope: str = SERVER_SCOPE,
        description: str = "",
        expires_at: datetime | None = None,
    ) -> SecretEntry:
        """Put a secret in.

        :raises SecretExistsError: there is one of that id in this scope.
        :raises TooManySecretsError: the scope has :data:`SECRETS_PER_SCOPE_MAX`.
        """
        self._masker.register(value)
        now = rfc3339(self._clock.now())
        version = self._sealed(scope, secret_id, 1, value, now, by=asking().actor)
        traced = self._trail.note("secret.create", resource=f"secret:{scope}/{secret_id}")

        def work(connection: sa.Connection) -> SecretEntry:
            if find(connection, scope, secret_id) is not None:
                raise SecretExistsError
            mine = sa.select(sa.func.count()).where(items.c.scope == scope)
            if (connection.scalar(mine) or 0) >= SECRETS_PER_SCOPE_MAX:
                raise TooManySecretsError
            connection.execute(
                items.insert().values(
                    scope=scope,
                    id=secret_id,
                    description=description,
                    version=1,
                    created_at=now,
                    created_by=version["created_by"],
                    updated_at=now,
                    expires_at=rfc3339(expires_at) if expires_at else None,
                )
            )
            connection.execute(versions.insert().values(**version))
            traced(connection)
            return need(connection, scope, secret_id)

        return await self._db.write(work)

    async def update(
        self,
        secret_id: str,
        *,
        scope: str = SERVER_SCOPE,
        value: Secret | None = None,
        description: str | None = None,
        expires_at: datetime | None = None,
        keep_expiry: bool = True,
    ) -> SecretEntry:
        """Give a secret another value, description or end; what is None stays, the end unless ``keep_expiry`` is off.

        :raises SecretNotFoundError: there is none.
        """
        if value is not None:
            self._masker.register(value)
        now, by = rfc3339(self._clock.now()), asking().actor
        traced = self._trail.note(
            "secret.update", resource=f"secret:{scope}/{secret_id}", details={"value": value is not None}
        )

        def work(connection: sa.Connection) -> SecretEntry:
            entry = need(connection, scope, secret_id)
            changes: dict[str, object] = {"updated_at": now}
            if description is not None:
                changes["description"] = description
            if not keep_expiry:
                changes["expires_at"] = rfc3339(expires_at) if expires_at else None
            if value is not None:
                number = entry.version + 1
                changes["version"] = number
                connection.execute(
                    versions.insert().values(**self._sealed(scope, secret_id, number, value, now, by=by))
                )
                old = versions.c.version <= number - self._settings.versions_kept
                connection.execute(versions.delete().where(is_(versions, scope, secret_id) & old))
            connection.execute(items.update().where(is_(items, scope, secret_id)).values(**changes))
            traced(connection)
            return need(connection, scope, secret_id)

        return await self._db.write(work)

    async def restore(self, secret_id: str, version: int, *, scope: str = SERVER_SCOPE) -> SecretEntry:
        """Make an earlier value the present one, as a new version.

        :raises SecretNotFoundError: there is no such secret, or that version is not kept.
        """
        return await self.update(secret_id, scope=scope, value=await self._value(scope, secret_id, version))

    async def delete(self, secret_id: str, *, scope: str = SERVER_SCOPE) -> None:
        """Remove a secret and all its values.

        :raises SecretNotFoundError: there is none.
        """
        traced = self._trail.note("secret.delete", resource=f"secret:{scope}/{secret_id}")

        def work(connection: sa.Connection) -> None:
            for table in (uses, versions):
                connection.execute(table.delete().where(is_(table, scope, secret_id)))
            if not connection.execute(items.delete().where(is_(items, scope, secret_id))).rowcount:
                raise named([scope], secret_id)
            traced(connection)

        await self._db.write(work)

    async def delete_scope(self, scope: str) -> int:
        """Remove all secrets of a scope, as when its app or person goes; returns how many there were."""
        entries = await self.list(scope)
        for entry in entries:
            await self.delete(entry.id, scope=scope)
        return len(entries)

    async def put(self, secret_id: str, value: Secret, *, scope: str = SERVER_SCOPE) -> None:
        """Make a secret, or give it another value.

        :raises BadRequestError: that is no id, or the value is empty or too large.
        """
        if not re.fullmatch(ID_PATTERN, secret_id) or secret_id.endswith("\n"):
            raise BadRequestError("a secret's id is made of letters, digits, dots, - and _, 128 at most")
        if not 1 <= len(value.reveal().encode()) <= VALUE_BYTES_MAX:
            raise BadRequestError(f"a secret's value has 1 to {VALUE_BYTES_MAX} bytes")
        try:
            await self.update(secret_id, scope=scope, value=value)
        except SecretNotFoundError:
            await self.create(secret_id, value, scope=scope)

    async def discard(self, secret_id: str, *, scope: str = SERVER_SCOPE) -> bool:
        """Remove a secret; False: there was none."""
        try:
            await self.delete(secret_id, scope=scope)
        except SecretNotFoundError:
            return False
        return True

    async def list(self, scope: str = SERVER_SCOPE) -> Sequence[SecretEntry]:
        """The secrets of a scope by id."""
        await self._usage.flush()
        return await self._db.read(
            lambda connection: [
                entry_of(row)
                for row in connection.execute(SELECT.where(items.c.scope == scope).order_by(items.c.id))
            ]
        )

    async def get(self, secret_id: str, *, scope: str = SERVER_SCOPE) -> SecretEntry:
        """A secret without its value.

        :raises SecretNotFoundError: there is none.
        """
        await self._usage.flush()
        return await self._db.read(lambda connection: need(connection, scope, secret_id))

    async def usage(self, secret_id: str, *, scope: str = SERVER_SCOPE) -> Sequence[SecretUse]:
        """Who uses a secret, the latest first."""
        # Not as "count": that is a method of a row.
        columns = (uses.c.used_by, uses.c.used_at, uses.c.count.label("times"))
        query = sa.select(*columns).where(is_(uses, scope, secret_id)).order_by(uses.c.used_at.desc())
        return await self._db.read(
            lambda connection: [
                SecretUse(used_by=row.used_by, count=row.times, used_at=parse_rfc3339(row.used_at))
                for row in connection.execute(query)
            ]
        )

    async def versions(self, secret_id: str, *, scope: str = SERVER_SCOPE) -> Sequence[SecretVersion]:
        """The values that are kept, the latest first: that there are, not which."""
        query = versions.select().where(is_(versions, scope, secret_id)).order_by(versions.c.version.desc())
        return await self._db.read(
            lambda connection: [
                SecretVersion(
                    version=row.version, created_at=parse_rfc3339(row.created_at), created_by=row.created_by
                )
                for row in connection.execute(query)
            ]
        )

    async def use(self, secret_id: str, *, used_by: str, scopes: Sequence[str] = (SERVER_SCOPE,)) -> Secret:
        """The value, at the place where it is used.

        :param used_by: as ``app:hello``: it is counted and written down.
        :param scopes: where to look, the first one that has it wins.
        :raises SecretNotFoundError: none has it.
        :raises SecretExpiredError: its time is over.
        """
        for scope in scopes:
            this = is_(items, scope, secret_id) & (versions.c.version == items.c.version)
            row = await self._one(PRESENT.where(this))
            if row is None:
                continue
            if row.expires_at and parse_rfc3339(row.expires_at) <= self._clock.now():
                raise SecretExpiredError(f"the secret {secret_id!r} has expired at {row.expires_at}")
            value = self._open(row)
            self._masker.register(value)
            self._usage.count(scope, secret_id, used_by)
            return value
        raise named(scopes, secret_id)

    async def owner_of(self, secret_id: str, *, scopes: Sequence[str]) -> tuple[str, str]:
        """Whose a secret is, and the scope that has it: a person's own are theirs, others belong to whoever put them in.

        :raises SecretNotFoundError: none of the scopes has it.
        """
        for scope in scopes:
            entry = await self._db.read(lambda connection, scope=scope: find(connection, scope, secret_id))  # type: ignore[misc]
            if entry is not None:
                return (scope if scope.startswith("user:") else entry.created_by), scope
        raise named(scopes, secret_id)

    async def names(self, scopes: Sequence[str]) -> Sequence[str]:
        """The ids that :meth:`use` would find."""
        query = sa.select(items.c.id).where(items.c.scope.in_(scopes)).distinct().order_by(items.c.id)
        return await self._db.read(lambda connection: list(connection.scalars(query)))

    async def warn(self) -> Sequence[SecretEntry]:
        """Tell, once each, which secrets will expire soon."""
        until = rfc3339(self._clock.now() + timedelta(days=self._settings.warn_days))
        due = (items.c.expires_at <= until) & (
            items.c.warned_for.is_(None) | (items.c.warned_for != items.c.expires_at)
        )
        found = await self._db.read(
            lambda connection: [entry_of(row) for row in connection.execute(SELECT.where(due))]
        )
        for entry in found:
            ends = rfc3339(entry.expires_at) if entry.expires_at else ""
            resource = f"secret:{entry.scope}/{entry.id}"
            log.warning("the secret %s of %s expires at %s", entry.id, entry.scope, ends)
            traced = self._trail.note("secret.expiring", resource=resource, details={"expires_at": ends})
            told = items.update().where(is_(items, entry.scope, entry.id)).values(warned_for=ends)

            def work(connection: sa.Connection, told: sa.Update = told, traced: object = traced) -> None:
                connection.execute(told)
                traced(connection)  # type: ignore[operator]

            await self._db.write(work)
        return found

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Count uses and look out for ends while the server runs."""
        async with self._usage.opened(), background(self._look(), "vault"):
            yield

    async def _look(self) -> None:
        while True:
            try:
                await self.warn()
            except Exception:
                log.exception("the secrets that expire could not be looked for")
            await asyncio.sleep(LOOK_SECONDS)

    def _sealed(
        self, scope: str, secret_id: str, number: int, value: Secret, now: str, *, by: str
    ) -> dict[str, object]:
        context = context_of(scope, secret_id, number)
        key = os.urandom(KEY_BYTES)
        master, wrapped = self._keyring.wrap(key, context)
        return {
            "scope": scope,
            "id": secret_id,
            "version": number,
            "master": master,
            "wrapped": wrapped,
            "sealed": AesGcmSealer(key).seal(value.reveal().encode(), context.encode()),
            "created_at": now,
            "created_by": by,
        }

    async def _value(self, scope: str, secret_id: str, version: int) -> Secret:
        row = await self._one(
            versions.select().where(is_(versions, scope, secret_id) & (versions.c.version == version))
        )
        if row is None:
            raise named([scope], f"{secret_id} (version {version})")
        return self._open(row)

    async def _one(self, query: sa.Select[Any]) -> sa.Row[Any] | None:
        return await self._db.read(lambda connection: connection.execute(query).first())

    def _open(self, row: sa.Row[Any]) -> Secret:
        context = context_of(row.scope, row.id, row.version)
        key = self._keyring.unwrap(row.master, bytes(row.wrapped), context)
        return Secret(AesGcmSealer(key).open(bytes(row.sealed), context.encode()).decode())
