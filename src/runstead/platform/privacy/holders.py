"""What the platform itself knows of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from runstead.kernel.clock import rfc3339
from runstead.kernel.privacy import DataClass, Person, PersonalData
from runstead.platform.audit import Audit, Filter
from runstead.platform.identity.accounts import Accounts
from runstead.platform.limits.tables import usage
from runstead.platform.secrets import Vault
from runstead.platform.storage.sql import Database


def platform_data(db: Database, *, accounts: Accounts, vault: Vault, audit: Audit) -> list[PersonalData]:
    """The holders in the order of erasure: the account, by which the others are found, comes last."""
    return [_Usage(db), _Secrets(vault), _Trail(db, audit), _Account(accounts)]


class _Account:
    classes: Sequence[DataClass] = (
        DataClass(
            name="identity.account",
            description="Name, mail address, roles, hash of the password, links to other providers.",
            kind="personal",
            retention="until the account is removed",
            erasure="removed",
        ),
        DataClass(
            name="identity.sessions",
            description="Where somebody is signed in: address and browser.",
            kind="personal",
            retention="identity.session_days",
            erasure="removed",
        ),
        DataClass(
            name="identity.factors",
            description="Second factors and known browsers.",
            kind="secret",
            retention="until they are taken away",
            erasure="removed",
        ),
    )

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def copy(self, person: Person) -> Mapping[str, Any]:
        if not person.id:
            return {}
        user = await self._accounts.people.get(person.id)
        return {
            "identity.account": user.as_json(),
            "identity.sessions": [one.as_json() for one in await self._accounts.sessions.list(person.id)],
            "identity.factors": [
                {"kind": one.kind, "name": one.name, "created_at": rfc3339(one.created_at)}
                for one in await self._accounts.factors.list(person.id)
            ],
        }

    async def erase(self, person: Person) -> Mapping[str, int]:
        if not person.id:
            return {}
        sessions = await self._accounts.sessions.list(person.id)
        factors = await self._accounts.factors.list(person.id)
        await self._accounts.people.delete(person.id)
        self._accounts.forget()
        return {
            "identity.account": 1,
            "identity.sessions": len(sessions),
            "identity.factors": len(factors),
        }


class _Secrets:
    classes: Sequence[DataClass] = (
        DataClass(
            name="secrets.own",
            description="Somebody's own secrets.",
            kind="secret",
            retention="until they are removed",
            erasure="removed",
        ),
    )

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def copy(self, person: Person) -> Mapping[str, Any]:
        # That there are, not which: values leave the vault for no one.
        return {"secrets.own": [one.id for one in await self._vault.list(person.subject)]}

    async def erase(self, person: Person) -> Mapping[str, int]:
        return {"secrets.own": await self._vault.delete_scope(person.subject)}


class _Trail:
    def __init__(self, db: Database, audit: Audit) -> None:
        self._db = db
        self._audit = audit
        self.classes: Sequence[DataClass] = (
            DataClass(
                name="audit.entries",
                description="Acts by and about somebody, under the id of the account, with addresses.",
                kind="personal",
                retention="audit.retention_days",
                erasure="kept",
                reason="a record of security events that must not be changed; once the account is gone its id names nobody",
            ),
        )

    async def copy(self, person: Person) -> Mapping[str, Any]:
        if not person.id:
            return {}
        found = await self._audit.query(Filter(actor=person.subject), limit=1000)
        return {"audit.entries": [one.as_json() for one in found]}

    async def erase(self, person: Person) -> Mapping[str, int]:
        from runstead.platform.audit.tables import entries

        about = (entries.c.actor == person.subject) | (entries.c.resource == person.subject)
        query = sa.select(sa.func.count()).select_from(entries).where(about)
        return {"audit.entries": await self._db.read(lambda connection: connection.scalar(query) or 0)}


class _Usage:
    classes: Sequence[DataClass] = (
        DataClass(
            name="limits.usage",
            description="How much somebody asked, by hour.",
            kind="personal",
            retention="limits.usage_days",
            erasure="removed",
        ),
    )

    def __init__(self, db: Database) -> None:
        self._db = db

    async def copy(self, person: Person) -> Mapping[str, Any]:
        query = usage.select().where(usage.c.subject == person.subject).order_by(usage.c.hour)
        return await self._db.read(
            lambda connection: {"limits.usage": [dict(row) for row in connection.execute(query).mappings()]}
        )

    async def erase(self, person: Person) -> Mapping[str, int]:
        gone = usage.delete().where(usage.c.subject == person.subject)
        return {"limits.usage": await self._db.write(lambda connection: connection.execute(gone).rowcount)}
