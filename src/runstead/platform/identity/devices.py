"""Browsers from which somebody has signed in: known ones need no notice, trusted ones no second factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import NotFoundError
from runstead.kernel.ids import new_id
from runstead.kernel.trail import Trail
from runstead.platform.identity.high_entropy import hash_of, new_secret
from runstead.platform.identity.lockout import origin_of
from runstead.platform.identity.tables import devices
from runstead.platform.identity.visitor import AGENT_CHARS_MAX, Visitor
from runstead.platform.storage.sql import Database

DEVICES_PER_USER_MAX: Final = 50
#: Days after which a browser that was not used is unknown again.
KNOWN_DAYS: Final = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A browser that somebody has used."""

    id: str
    agent: str
    address: str
    created_at: datetime
    seen_at: datetime
    trusted_until: datetime | None


class Devices:
    """The browser holds a secret, the hash of which is kept here. It proves nothing by itself; a password is still needed."""

    def __init__(self, db: Database, *, trust_days: int, trail: Trail, clock: Clock) -> None:
        self._db = db
        self._trust_days = trust_days
        self._trail = trail
        self._clock = clock

    async def is_trusted(self, user_id: str, secret: str) -> bool:
        """Whether this browser needs no second factor."""
        now = rfc3339(self._clock.now())
        query = sa.select(devices.c.id).where(
            (devices.c.user_id == user_id)
            & (devices.c.secret == hash_of(secret))
            & (devices.c.trusted_until > now)
        )
        return await self._db.read(lambda connection: connection.execute(query).first() is not None)

    async def signed_in(
        self, user_id: str, visitor: Visitor, *, secret: str = "", trust: bool = False
    ) -> tuple[str, bool]:
        """Note a sign-in.

        :param secret: what the browser has shown.
        :param trust: it needs no second factor for some days.
        :returns: the secret that the browser keeps, and whether the sign-in is suspicious: from another browser and another
            network than all before.
        """
        now = self._clock.now()
        until = rfc3339(now + timedelta(days=self._trust_days)) if trust else None
        fresh = new_secret()
        traced = self._trail.note(
            "identity.suspicious",
            actor=f"user:{user_id}",
            resource=f"user:{user_id}",
            details={"address": visitor.address, "browser": visitor.browser},
        )
        values: dict[str, Any] = {
            "agent": visitor.agent[:AGENT_CHARS_MAX],
            "address": visitor.address,
            "seen_at": rfc3339(now),
        }

        def work(connection: sa.Connection) -> tuple[str, bool]:
            mine = devices.c.user_id == user_id
            this = mine & (devices.c.secret == hash_of(secret))
            changes = values | ({"trusted_until": until} if trust else {})
            if secret and connection.execute(devices.update().where(this).values(**changes)).rowcount:
                return secret, False
            known = connection.execute(devices.select().where(mine).order_by(devices.c.seen_at)).all()
            origins = {origin_of(row.address) for row in known}
            browsers = {Visitor("", row.agent).browser for row in known}
            strange = (
                bool(known) and origin_of(visitor.address) not in origins and visitor.browser not in browsers
            )
            surplus = [row.id for row in known[: max(0, len(known) - DEVICES_PER_USER_MAX + 1)]]
            connection.execute(devices.delete().where(devices.c.id.in_(surplus)))
            connection.execute(
                devices.insert().values(
                    id=new_id(),
                    user_id=user_id,
                    secret=hash_of(fresh),
                    created_at=rfc3339(now),
                    trusted_until=until,
                    **values,
                )
            )
            if strange:
                traced(connection)
            return fresh, strange

        return await self._db.write(work)

    async def list(self, user_id: str) -> Sequence[Device]:
        """Somebody's browsers, the last used first."""
        query = devices.select().where(devices.c.user_id == user_id).order_by(devices.c.seen_at.desc())
        return await self._db.read(
            lambda connection: [
                Device(
                    id=row.id,
                    agent=row.agent,
                    address=row.address,
                    created_at=parse_rfc3339(row.created_at),
                    seen_at=parse_rfc3339(row.seen_at),
                    trusted_until=parse_rfc3339(row.trusted_until) if row.trusted_until else None,
                )
                for row in connection.execute(query)
            ]
        )

    async def forget(self, user_id: str, device_id: str) -> None:
        """Know a browser no more.

        :raises NotFoundError: it was not known.
        """
        this = (devices.c.user_id == user_id) & (devices.c.id == device_id)

        def work(connection: sa.Connection) -> None:
            if not connection.execute(devices.delete().where(this)).rowcount:
                raise NotFoundError(f"there is no device {device_id[:64]!r} of yours")

        await self._db.write(work)

    async def trust_no_more(self, user_id: str) -> None:
        """Ask for the second factor everywhere: the factors have changed."""
        update = devices.update().where(devices.c.user_id == user_id).values(trusted_until=None)
        await self._db.write(lambda connection: connection.execute(update).rowcount)

    async def sweep(self) -> None:
        """Remove those that were not used for :data:`KNOWN_DAYS`."""
        oldest = rfc3339(self._clock.now() - timedelta(days=KNOWN_DAYS))
        old = devices.delete().where(devices.c.seen_at < oldest)
        await self._db.write(lambda connection: connection.execute(old).rowcount)
