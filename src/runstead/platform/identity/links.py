"""One-time links: the first administrator's set-up, invitations, password resets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final, cast

import sqlalchemy as sa

from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import NotFoundError
from runstead.kernel.ids import new_id
from runstead.kernel.trail import Trail
from runstead.platform.identity.errors import LinkError, TooManyError
from runstead.platform.identity.high_entropy import fits, hash_of, new_secret
from runstead.platform.identity.model import Link, LinkKind, User
from runstead.platform.identity.people import People, role_names
from runstead.platform.identity.tables import links
from runstead.platform.storage.sql import Database

#: Links that are open at once.
LINKS_MAX: Final = 1000

#: Hours that the set-up link of a start is valid; the next start prints another.
SETUP_HOURS: Final = 24


def link_path(kind: LinkKind, text: str) -> str:
    """Where a link is opened. Its text stands after the #, which browsers send to nobody, so it is in no log on the way."""
    return f"/auth/sign-in#{kind}={text}"


class Links:
    """A link is ``<id>.<secret>``; it works once, in the transaction of what it allows, and not after its time."""

    def __init__(self, db: Database, *, people: People, hours: int, trail: Trail, clock: Clock) -> None:
        self._db = db
        self._people = people
        self._hours = hours
        self._trail = trail
        self._clock = clock

    async def create(
        self,
        kind: LinkKind,
        *,
        by: str,
        user_id: str = "",
        mail: str | None = None,
        roles: Iterable[str] = (),
    ) -> tuple[Link, str]:
        """Make a link; an earlier one of the same kind for the same person or the same mail address ends.

        :returns: the link, and its text, which is shown once.
        :raises TooManyError: :data:`LINKS_MAX` are open.
        """
        now, secret = self._clock.now(), new_secret()
        link = Link(
            id=new_id(),
            kind=kind,
            user_id=user_id,
            mail=mail,
            roles=role_names(roles),
            expires_at=now + timedelta(hours=SETUP_HOURS if kind == "setup" else self._hours),
        )
        traced = self._trail.note(
            f"link.{kind}", resource=f"user:{user_id}" if user_id else "", details={"roles": link.roles}
        )

        def work(connection: sa.Connection) -> None:
            connection.execute(links.delete().where(links.c.expires_at <= rfc3339(now)))
            if kind == "setup" or user_id:
                connection.execute(
                    links.delete().where((links.c.kind == kind) & (links.c.user_id == user_id))
                )
            if (connection.scalar(sa.select(sa.func.count()).select_from(links)) or 0) >= LINKS_MAX:
                raise TooManyError(f"{LINKS_MAX} links are open already")
            connection.execute(
                links.insert().values(
                    id=link.id,
                    kind=kind,
                    secret=hash_of(secret),
                    user_id=user_id,
                    mail=mail,
                    roles=json.dumps(link.roles),
                    created_by=by,
                    created_at=rfc3339(now),
                    expires_at=rfc3339(link.expires_at),
                )
            )
            traced(connection)

        await self._db.write(work)
        return link, f"{link.id}.{secret}"

    async def accept(self, kind: LinkKind, text: str, *, name: str, mail: str | None, password: str) -> User:
        """Use an invitation or the set-up link: somebody joins.

        :raises LinkError: it does not work, or no longer.
        :raises TakenError: the name or the mail address is another's; the link can be used again.
        :raises WeakPasswordError: so it can then.
        """
        link = await self._peek(kind, text)
        add = await self._people.prepare(
            # An invitation was sent to its address, so whoever has it reads that mail.
            name=name,
            mail=link.mail or mail,
            mail_verified=link.mail is not None,
            password=password,
            roles=link.roles,
        )

        def work(connection: sa.Connection) -> User:
            _use_up(connection, link)
            return cast("User", add(connection))

        joined: User = await self._people.write(work)
        return joined

    async def reset(self, text: str, *, password: str) -> User:
        """Use a reset link: another password, and every session ends.

        :raises LinkError: it does not work, or no longer.
        :raises WeakPasswordError: the link can be used again.
        """
        link = await self._peek("reset", text)
        try:
            user = await self._people.get(link.user_id)
        except NotFoundError as error:
            raise LinkError from error
        set_it = await self._people.prepare_password(user, password)

        def work(connection: sa.Connection) -> User:
            _use_up(connection, link)
            return cast("User", set_it(connection))

        return await self._db.write(work)

    async def _peek(self, kind: LinkKind, text: str) -> Link:
        link_id, _, secret = text.partition(".")
        query = links.select().where((links.c.id == link_id) & (links.c.kind == kind))
        row = await self._db.read(lambda connection: connection.execute(query).mappings().first())
        if row is None or not fits(secret, row["secret"]):
            raise LinkError
        link = _link(row)
        if self._clock.now() >= link.expires_at:
            raise LinkError
        return link

    async def list(self) -> Sequence[Link]:
        """What is open, the oldest first."""
        query = links.select().where(links.c.expires_at > rfc3339(self._clock.now())).order_by(links.c.id)
        return await self._db.read(
            lambda connection: [_link(row) for row in connection.execute(query).mappings()]
        )

    async def revoke(self, link_id: str) -> None:
        """:raises NotFoundError: there is no such link."""
        traced = self._trail.note("link.delete", resource=f"link:{link_id}")

        def work(connection: sa.Connection) -> None:
            if not connection.execute(links.delete().where(links.c.id == link_id)).rowcount:
                raise NotFoundError(f"there is no link {link_id[:64]!r}")
            traced(connection)

        await self._db.write(work)


def _use_up(connection: sa.Connection, link: Link) -> None:
    """In the transaction of the act, so that of two who use it at once one fails."""
    if not connection.execute(links.delete().where(links.c.id == link.id)).rowcount:
        raise LinkError


def _link(row: sa.RowMapping) -> Link:
    return Link(
        id=row["id"],
        kind=row["kind"],
        user_id=row["user_id"],
        mail=row["mail"],
        roles=tuple(json.loads(row["roles"])),
        expires_at=parse_rfc3339(row["expires_at"]),
    )
