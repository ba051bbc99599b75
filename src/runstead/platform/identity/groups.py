"""Groups of people and of groups, and grants on single things."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import NotFoundError
from runstead.kernel.ids import new_id
from runstead.kernel.limits import PAGE_ROWS_MAX
from runstead.kernel.trail import Trail
from runstead.platform.identity.directory import find_group, find_user, groups_of
from runstead.platform.identity.errors import (
    CycleError,
    GroupNotFoundError,
    TakenError,
    TooManyError,
    UserNotFoundError,
)
from runstead.platform.identity.model import Group, StoredGrant, key_of
from runstead.platform.identity.people import role_names
from runstead.platform.identity.tables import grants, groups, members
from runstead.platform.storage.sql import ConstraintError, Database
from runstead.platform.storage.sql.waiting import Work

T = TypeVar("T")

GROUPS_MAX: Final = 1000
MEMBERS_MAX: Final = 1000
GRANTS_MAX: Final = 100_000


def release(connection: sa.Connection, kind: str, resource_id: str) -> None:
    """A thing is gone: whoever was allowed something on it must not be allowed it on the next one of that name."""
    this = (grants.c.kind == kind) & (grants.c.resource_id == resource_id)
    connection.execute(grants.delete().where(this))


class Groups:
    """Who belongs together. A change takes effect with the next request of those whom it concerns."""

    def __init__(self, db: Database, *, trail: Trail, clock: Clock) -> None:
        self._db = db
        self._trail = trail
        self._clock = clock

    async def create(self, *, name: str, roles: Iterable[str] = ()) -> Group:
        """:raises TakenError: there is one of that name."""
        group_id, names = new_id(), role_names(roles)
        traced = self._trail.note(
            "group.create", resource=f"group:{group_id}", details={"name": name, "roles": names}
        )

        def work(connection: sa.Connection) -> Group:
            if (connection.scalar(sa.select(sa.func.count()).select_from(groups)) or 0) >= GROUPS_MAX:
                raise TooManyError(f"there are {GROUPS_MAX} groups already")
            connection.execute(
                groups.insert().values(
                    id=group_id,
                    name=name,
                    name_key=key_of(name),
                    roles=json.dumps(names),
                    created_at=rfc3339(self._clock.now()),
                )
            )
            traced(connection)
            return _known(connection, group_id)

        return await self._write(work)

    async def get(self, group_id: str) -> Group:
        """:raises GroupNotFoundError: there is none."""
        return await self._db.read(lambda connection: _known(connection, group_id))

    async def list(self) -> Sequence[Group]:
        """Every group, the oldest first."""

        def work(connection: sa.Connection) -> list[Group]:
            ids = connection.scalars(sa.select(groups.c.id).order_by(groups.c.id)).all()
            return [_known(connection, one) for one in ids]

        return await self._db.read(work)

    async def change(
        self, group_id: str, *, name: str | None = None, roles: Iterable[str] | None = None
    ) -> Group:
        """Change what is given.

        :raises TakenError: there is another of that name.
        """
        values: dict[str, Any] = {}
        if name is not None:
            values |= {"name": name, "name_key": key_of(name)}
        if roles is not None:
            values["roles"] = json.dumps(role_names(roles))
        traced = self._trail.note(
            "group.change",
            resource=f"group:{group_id}",
            details={"changed": sorted(values.keys() - {"name_key"})},
        )

        def work(connection: sa.Connection) -> Group:
            _known(connection, group_id)
            if values:
                connection.execute(groups.update().where(groups.c.id == group_id).values(**values))
            traced(connection)
            return _known(connection, group_id)

        return await self._write(work)

    async def add_member(self, group_id: str, member: str) -> Group:
        """Take somebody, or another group, in.

        :param member: ``user:ID`` or ``group:ID``.
        :raises CycleError: the group would be in itself.
        """
        traced = self._trail.note("group.add", resource=f"group:{group_id}", details={"member": member})

        def work(connection: sa.Connection) -> Group:
            group = _known(connection, group_id)
            if member in group.members:
                return group
            if len(group.members) >= MEMBERS_MAX:
                raise TooManyError(f"a group has {MEMBERS_MAX} members at most")
            _insist_on_subject(connection, member)
            inner = member.removeprefix("group:")
            if inner != member and (inner == group_id or inner in groups_of(connection, f"group:{group_id}")):
                raise CycleError
            connection.execute(members.insert().values(group_id=group_id, member=member))
            traced(connection)
            return _known(connection, group_id)

        return await self._db.write(work)

    async def remove_member(self, group_id: str, member: str) -> Group:
        """Let somebody go; who is no member stays none."""
        traced = self._trail.note("group.remove", resource=f"group:{group_id}", details={"member": member})

        def work(connection: sa.Connection) -> Group:
            _known(connection, group_id)
            connection.execute(
                members.delete().where((members.c.group_id == group_id) & (members.c.member == member))
            )
            traced(connection)
            return _known(connection, group_id)

        return await self._db.write(work)

    async def delete(self, group_id: str) -> None:
        """:raises GroupNotFoundError: there is none."""
        subject = f"group:{group_id}"
        traced = self._trail.note("group.delete", resource=subject)

        def work(connection: sa.Connection) -> None:
            _known(connection, group_id)
            connection.execute(
                members.delete().where((members.c.member == subject) | (members.c.group_id == group_id))
            )
            connection.execute(grants.delete().where(grants.c.subject == subject))
            connection.execute(groups.delete().where(groups.c.id == group_id))
            traced(connection)

        await self._db.write(work)

    async def grant(
        self, *, subject: str, permission: str, kind: str, resource_id: str, by: str
    ) -> StoredGrant:
        """Allow somebody something on one thing. The thing need not exist yet.

        :param subject: ``user:ID`` or ``group:ID``.
        :raises TakenError: it is granted already.
        """
        traced = self._trail.note(
            "grant.create",
            resource=f"{kind}:{resource_id}",
            details={"subject": subject, "permission": permission},
        )
        grant = StoredGrant(
            id=new_id(),
            subject=subject,
            permission=permission,
            kind=kind,
            resource_id=resource_id,
            created_by=by,
            created_at=self._clock.now(),
        )

        def work(connection: sa.Connection) -> StoredGrant:
            _insist_on_subject(connection, subject)
            if (connection.scalar(sa.select(sa.func.count()).select_from(grants)) or 0) >= GRANTS_MAX:
                raise TooManyError(f"there are {GRANTS_MAX} grants already")
            connection.execute(
                grants.insert().values(
                    id=grant.id,
                    subject=subject,
                    permission=permission,
                    kind=kind,
                    resource_id=resource_id,
                    created_by=by,
                    created_at=rfc3339(grant.created_at),
                )
            )
            traced(connection)
            return grant

        return await self._write(work)

    async def grants(
        self, *, subject: str | None = None, resource: tuple[str, str] | None = None, after: str = ""
    ) -> Sequence[StoredGrant]:
        """Grants by id, one page."""
        query = grants.select().where(grants.c.id > after).order_by(grants.c.id).limit(PAGE_ROWS_MAX)
        if subject is not None:
            query = query.where(grants.c.subject == subject)
        if resource is not None:
            query = query.where((grants.c.kind == resource[0]) & (grants.c.resource_id == resource[1]))
        return await self._db.read(
            lambda connection: [
                StoredGrant(**{**row, "created_at": parse_rfc3339(row["created_at"])})
                for row in connection.execute(query).mappings()
            ]
        )

    async def revoke(self, grant_id: str) -> None:
        """:raises NotFoundError: there is no such grant."""
        traced = self._trail.note("grant.delete", resource=f"grant:{grant_id}")

        def work(connection: sa.Connection) -> None:
            if not connection.execute(grants.delete().where(grants.c.id == grant_id)).rowcount:
                raise NotFoundError(f"there is no grant {grant_id[:64]!r}")
            traced(connection)

        await self._db.write(work)

    async def _write(self, work: Work[T]) -> T:
        try:
            return await self._db.write(work)
        except ConstraintError as error:
            raise TakenError("there is one like that already") from error


def _insist_on_subject(connection: sa.Connection, subject: str) -> None:
    kind, _, one = subject.partition(":")
    if kind == "group":
        _known(connection, one)
    elif find_user(connection, one) is None:
        raise UserNotFoundError(f"there is no person {one[:64]!r}")


def _known(connection: sa.Connection, group_id: str) -> Group:
    group = find_group(connection, group_id)
    if group is None:
        raise GroupNotFoundError(f"there is no group {group_id[:64]!r}")
    return group
