"""People: made, changed, disabled, removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from runstead.kernel.clock import Clock, rfc3339
from runstead.kernel.ids import new_id
from runstead.kernel.limits import PAGE_ROWS_MAX
from runstead.kernel.trail import Trail
from runstead.platform.identity.actor import ROLE_ADMINISTRATOR
from runstead.platform.identity.directory import find_user, user_of
from runstead.platform.identity.errors import (
    LastAdministratorError,
    TakenError,
    TooManyError,
    UserNotFoundError,
)
from runstead.platform.identity.model import User, key_of
from runstead.platform.identity.passwords import Passwords
from runstead.platform.identity.roles import ALIASES, ROLES
from runstead.platform.identity.tables import (
    devices,
    external,
    factors,
    grants,
    links,
    members,
    sessions,
    tokens,
    users,
)
from runstead.platform.storage.sql import ConstraintError, Database

#: People of one server. Beyond it a directory of its own should be asked by OpenID Connect.
USERS_MAX: Final = 10_000

_UNSET: Final[Any] = object()


def role_names(names: Iterable[str]) -> tuple[str, ...]:
    """The roles' own names, each once, in the order of what they allow."""
    wanted = {ALIASES.get(name, name) for name in names}
    return tuple(name for name in ROLES if name in wanted)


class People:
    """Accounts. Whatever lowers what somebody may do, or changes how they prove who they are, ends their sessions."""

    def __init__(self, db: Database, *, passwords: Passwords, trail: Trail, clock: Clock) -> None:
        self._db = db
        self._passwords = passwords
        self._trail = trail
        self._clock = clock

    async def create(
        self,
        *,
        name: str,
        mail: str | None = None,
        password: str | None = None,
        roles: Iterable[str] = (),
        mail_verified: bool = False,
    ) -> User:
        """Make an account.

        :param password: None: they sign in through somebody else, or set one by a link.
        :raises TakenError: the name or the mail address is another's.
        :raises WeakPasswordError: says what would make it better.
        :raises TooManyError: there are :data:`USERS_MAX`.
        """
        add = await self.prepare(
            name=name, mail=mail, password=password, roles=roles, mail_verified=mail_verified
        )
        user: User = await self.write(add)
        return user

    async def prepare(
        self,
        *,
        name: str,
        mail: str | None,
        password: str | None,
        roles: Iterable[str],
        mail_verified: bool = False,
    ) -> Any:
        """Check and hash; the result adds the account within a transaction that does more (a link that is used up)."""
        if password is not None:
            await self._passwords.insist_on_strength(password, name, mail or "")
        hashed = None if password is None else await self._passwords.hash(password)
        user_id, now = new_id(), rfc3339(self._clock.now())
        names = role_names(roles)
        traced = self._trail.note(
            "user.create", resource=f"user:{user_id}", details={"name": name, "roles": names}
        )

        def add(connection: sa.Connection) -> User:
            if (connection.scalar(sa.select(sa.func.count()).select_from(users)) or 0) >= USERS_MAX:
                raise TooManyError(f"there are {USERS_MAX} people already")
            connection.execute(
                users.insert().values(
                    id=user_id,
                    name=name,
                    name_key=key_of(name),
                    mail=mail,
                    mail_key=None if mail is None else key_of(mail),
                    mail_verified=mail_verified,
                    password=hashed,
                    roles=json.dumps(names),
                    disabled=False,
                    epoch=1,
                    created_at=now,
                    updated_at=now,
                )
            )
            traced(connection)
            return _known(connection, user_id)

        return add

    async def write(self, work: Any) -> Any:
        """Run a work in which a name may turn out to be another's.

        :raises TakenError: it was.
        """
        try:
            return await self._db.write(work)
        except ConstraintError as error:
            raise TakenError from error

    async def get(self, user_id: str) -> User:
        """:raises UserNotFoundError: there is none."""
        return await self._db.read(lambda connection: _known(connection, user_id))

    async def find(self, name_or_mail: str) -> tuple[User, str | None] | None:
        """Somebody by name or mail address, with the hash of their password."""
        key = key_of(name_or_mail)
        query = users.select().where((users.c.name_key == key) | (users.c.mail_key == key))

        def work(connection: sa.Connection) -> tuple[User, str | None] | None:
            rows = connection.execute(query).mappings().all()
            # A name that is another's mail address means the name.
            row = next((row for row in rows if row["name_key"] == key), rows[0] if rows else None)
            return None if row is None else (user_of(row), row["password"])

        return await self._db.read(work)

    async def list(self, *, limit: int = PAGE_ROWS_MAX, after: str = "") -> Sequence[User]:
        """By id, which is the order in which they were made.

        :param after: the id of the last one of the page before.
        """
        query = users.select().where(users.c.id > after).order_by(users.c.id).limit(limit)
        return await self._db.read(
            lambda connection: [user_of(row) for row in connection.execute(query).mappings()]
        )

    async def change(
        self,
        user_id: str,
        *,
        name: str = _UNSET,
        mail: str | None = _UNSET,
        roles: Iterable[str] = _UNSET,
        disabled: bool = _UNSET,
        mail_verified: bool = _UNSET,
    ) -> User:
        """Change what is given.

        :raises UserNotFoundError: there is no such person.
        :raises TakenError: the name or the mail address is another's.
        :raises LastAdministratorError: nobody would be left who can administrate.
        """
        values: dict[str, Any] = {"updated_at": rfc3339(self._clock.now())}
        if name is not _UNSET:
            values |= {"name": name, "name_key": key_of(name)}
        if mail is not _UNSET:
            values |= {
                "mail": mail,
                "mail_key": None if mail is None else key_of(mail),
                "mail_verified": False,
            }
        if mail_verified is not _UNSET:
            values["mail_verified"] = mail_verified
        if roles is not _UNSET:
            values["roles"] = json.dumps(role_names(roles))
        if disabled is not _UNSET:
            values["disabled"] = disabled
        changed = sorted(values.keys() & {"name", "mail", "roles", "disabled"})
        traced = self._trail.note(
            "user.change",
            resource=f"user:{user_id}",
            details={"changed": changed, **({} if roles is _UNSET else {"roles": role_names(roles)})},
        )
        lowers = roles is not _UNSET or disabled is not _UNSET

        def work(connection: sa.Connection) -> User:
            before = _known(connection, user_id)
            connection.execute(users.update().where(users.c.id == user_id).values(**values))
            if lowers:
                end_sessions(connection, user_id)
                insist_on_an_administrator(connection, before)
            traced(connection)
            return _known(connection, user_id)

        changed_user: User = await self.write(work)
        return changed_user

    async def set_password(self, user_id: str, password: str, *, keep_session: str = "") -> None:
        """Give somebody another password; all sessions but one end.

        :param keep_session: the session in which they changed it.
        :raises WeakPasswordError: says what would make it better.
        """
        user = await self.get(user_id)
        set_it = await self.prepare_password(user, password, keep_session=keep_session)
        await self._db.write(set_it)

    async def prepare_password(self, user: User, password: str, *, keep_session: str = "") -> Any:
        """As :meth:`prepare`, for a new password."""
        await self._passwords.insist_on_strength(password, user.name, user.mail or "")
        hashed = await self._passwords.hash(password)
        now = rfc3339(self._clock.now())
        traced = self._trail.note("user.password", resource=f"user:{user.id}")

        def set_it(connection: sa.Connection) -> User:
            connection.execute(
                users.update().where(users.c.id == user.id).values(password=hashed, updated_at=now)
            )
            end_sessions(connection, user.id, keep=keep_session)
            traced(connection)
            return _known(connection, user.id)

        return set_it

    async def delete(self, user_id: str) -> None:
        """Remove somebody with their sessions, tokens, grants and links.

        :raises UserNotFoundError: there is no such person.
        :raises LastAdministratorError: nobody would be left who can administrate.
        """
        subject = f"user:{user_id}"
        traced = self._trail.note("user.delete", resource=subject)

        def work(connection: sa.Connection) -> None:
            before = _known(connection, user_id)
            for table in (sessions, tokens, external, links, factors, devices):
                connection.execute(table.delete().where(table.c.user_id == user_id))
            connection.execute(grants.delete().where(grants.c.subject == subject))
            connection.execute(members.delete().where(members.c.member == subject))
            connection.execute(users.delete().where(users.c.id == user_id))
            insist_on_an_administrator(connection, before)
            traced(connection)

        await self._db.write(work)

    async def has_administrator(self) -> bool:
        """Whether somebody can administrate."""
        return await self._db.read(_has_administrator)


def end_sessions(connection: sa.Connection, user_id: str, *, keep: str = "") -> None:
    """Sessions are over from now on; the kept one lives on in the new epoch."""
    connection.execute(users.update().where(users.c.id == user_id).values(epoch=users.c.epoch + 1))
    connection.execute(sessions.delete().where((sessions.c.user_id == user_id) & (sessions.c.id != keep)))
    epoch = sa.select(users.c.epoch).where(users.c.id == user_id).scalar_subquery()
    connection.execute(sessions.update().where(sessions.c.id == keep).values(epoch=epoch))


def insist_on_an_administrator(connection: sa.Connection, before: User) -> None:
    """Called after an act on somebody, who may have been the last one.

    :raises LastAdministratorError: nobody is left who can administrate.
    """
    was_one = ROLE_ADMINISTRATOR in before.roles and not before.disabled
    if was_one and not _has_administrator(connection):
        raise LastAdministratorError


def _has_administrator(connection: sa.Connection) -> bool:
    query = sa.select(users.c.id).where(users.c.roles.contains(f'"{ROLE_ADMINISTRATOR}"') & ~users.c.disabled)
    return connection.execute(query.limit(1)).first() is not None


def _known(connection: sa.Connection, user_id: str) -> User:
    user = find_user(connection, user_id)
    if user is None:
        raise UserNotFoundError(f"there is no person {user_id[:64]!r}")
    return user
