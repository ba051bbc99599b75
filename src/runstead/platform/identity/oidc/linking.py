"""Which account somebody has who comes from a provider."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from runstead.kernel.clock import Clock, rfc3339
from runstead.kernel.errors import ConflictError
from runstead.kernel.trail import Trail
from runstead.platform.identity.directory import find_user, user_of
from runstead.platform.identity.errors import SignInError, TakenError
from runstead.platform.identity.model import MAIL_PATTERN, NAME_CHARS_MAX, User, key_of
from runstead.platform.identity.oidc.errors import NoAccountError
from runstead.platform.identity.people import People
from runstead.platform.identity.settings import Provider
from runstead.platform.identity.tables import external, users
from runstead.platform.storage.sql import Database

#: Tried in turn when a name is another's.
_NAMES_TRIED: Final = 20
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What a provider vouches for."""

    provider: Provider
    issuer: str
    subject: str
    mail: str
    mail_verified: bool
    name: str


class Linking:
    """An account belongs to issuer and subject, never to a mail address: addresses change hands.

    The first time, somebody is taken for the account with the same mail address only when both sides have verified it; else
    whoever registers a stranger's address somewhere could take over their account, or prepare one for them.
    """

    def __init__(self, db: Database, *, people: People, trail: Trail, clock: Clock) -> None:
        self._db = db
        self._people = people
        self._trail = trail
        self._clock = clock

    async def user_of(self, person: Person, *, link_to: str = "") -> str:
        """The id of the account.

        :param link_to: whose it is from now on.
        :raises NoAccountError: there is none, and none may be made.
        :raises SignInError: it is disabled.
        :raises ConflictError: it is linked to somebody else.
        """
        known = await self._db.read(lambda connection: _linked(connection, person))
        if link_to:
            if known is not None and known.id != link_to:
                raise ConflictError("that account is linked to somebody else here")
            if known is None:
                await self._link(person, link_to)
            return link_to
        user = known or await self._first_time(person)
        if user.disabled:
            raise SignInError
        return user.id

    async def _first_time(self, person: Person) -> User:
        provider = person.provider
        verified = person.mail_verified and re.fullmatch(MAIL_PATTERN, person.mail) is not None
        if provider.mail_domains and (
            not verified or person.mail.rpartition("@")[2] not in provider.mail_domains
        ):
            raise NoAccountError("that mail address is of no organization that may sign in")
        if verified and (user := await self._by_mail(person.mail)) is not None:
            await self._link(person, user.id)
            return user
        if not provider.sign_up:
            raise NoAccountError
        return await self._made(person, person.mail if verified else None)

    async def _by_mail(self, mail: str) -> User | None:
        query = users.select().where(users.c.mail_key == key_of(mail))
        row = await self._db.read(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            return None
        if not row["mail_verified"]:
            raise NoAccountError(
                "an account has that mail address without having verified it; sign in to it and link"
            )
        return user_of(row)

    async def _link(self, person: Person, user_id: str) -> None:
        traced = self._traced(person, user_id)

        def work(connection: sa.Connection) -> None:
            connection.execute(external.insert().values(**self._row(person, user_id)))
            traced(connection)

        await self._db.write(work)

    async def _made(self, person: Person, mail: str | None) -> User:
        wanted = _NOT_IN_NAMES.sub(".", person.name or person.mail.partition("@")[0]).strip(".-_")
        wanted = wanted[: NAME_CHARS_MAX - 4] or person.provider.name
        for number in range(1, _NAMES_TRIED + 1):
            name = wanted if number == 1 else f"{wanted}-{number}"
            add = await self._people.prepare(
                name=name,
                mail=mail,
                password=None,
                roles=person.provider.roles,
                mail_verified=mail is not None,
            )

            def work(connection: sa.Connection, add: Any = add) -> User:
                user: User = add(connection)
                connection.execute(external.insert().values(**self._row(person, user.id)))
                self._traced(person, user.id)(connection)
                return user

            try:
                user: User = await self._people.write(work)
            except TakenError:
                continue
            return user
        raise NoAccountError("no name could be found for a new account")

    def _row(self, person: Person, user_id: str) -> dict[str, str]:
        return {
            "issuer": person.issuer,
            "subject": person.subject,
            "user_id": user_id,
            "provider": person.provider.name,
            "linked_at": rfc3339(self._clock.now()),
        }

    def _traced(self, person: Person, user_id: str) -> Any:
        return self._trail.note(
            "identity.link",
            actor=f"user:{user_id}",
            resource=f"user:{user_id}",
            details={"provider": person.provider.name},
        )


def _linked(connection: sa.Connection, person: Person) -> User | None:
    this = (external.c.issuer == person.issuer) & (external.c.subject == person.subject)
    user_id = connection.scalar(sa.select(external.c.user_id).where(this))
    return None if user_id is None else find_user(connection, user_id)
