"""Reading who somebody is: their groups, through others too, with all that these bring."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from runstead.kernel.clock import parse_rfc3339
from runstead.platform.identity.actor import Actor, Grant
from runstead.platform.identity.model import Group, User
from runstead.platform.identity.tables import grants, groups, members, users

#: Grants that one person can have, by themselves and through groups: they are held in memory while somebody is signed in.
GRANTS_MAX: Final = 2000


def user_of(row: sa.RowMapping) -> User:
    """A row of ``identity_users`` as a value."""
    return User(
        id=row["id"],
        name=row["name"],
        mail=row["mail"],
        mail_verified=row["mail_verified"],
        roles=tuple(json.loads(row["roles"])),
        disabled=row["disabled"],
        epoch=row["epoch"],
        created_at=parse_rfc3339(row["created_at"]),
        updated_at=parse_rfc3339(row["updated_at"]),
        has_password=row["password"] is not None,
    )


def find_user(connection: sa.Connection, user_id: str) -> User | None:
    """Somebody by id."""
    row = connection.execute(users.select().where(users.c.id == user_id)).mappings().first()
    return None if row is None else user_of(row)


def find_group(connection: sa.Connection, group_id: str) -> Group | None:
    """A group by id, with its direct members."""
    row = connection.execute(groups.select().where(groups.c.id == group_id)).mappings().first()
    if row is None:
        return None
    inside = connection.scalars(
        sa.select(members.c.member).where(members.c.group_id == group_id).order_by(members.c.member)
    )
    return Group(
        id=row["id"],
        name=row["name"],
        roles=tuple(json.loads(row["roles"])),
        members=tuple(inside),
        created_at=parse_rfc3339(row["created_at"]),
    )


def groups_of(connection: sa.Connection, member: str) -> frozenset[str]:
    """Ids of the groups that a member (``user:ID`` or ``group:ID``) is in, directly or through other groups."""
    direct = sa.select(members.c.group_id).where(members.c.member == member).cte("mine", recursive=True)
    # UNION, not UNION ALL: it ends also where groups went in a circle.
    through = sa.select(members.c.group_id).join(
        direct, members.c.member == sa.literal("group:") + direct.c.group_id
    )
    return frozenset(connection.scalars(sa.select(direct.union(through).c.group_id)))


def actor_of_user(connection: sa.Connection, user: User) -> Actor:
    """Somebody with all roles, groups and grants that they have at this moment."""
    inside = groups_of(connection, f"user:{user.id}")
    roles = set(user.roles)
    if inside:
        for text in connection.scalars(sa.select(groups.c.roles).where(groups.c.id.in_(inside))):
            roles.update(json.loads(text))
    return Actor(
        "user",
        user.id,
        roles=frozenset(roles),
        name=user.name,
        mail=user.mail or "",
        groups=inside,
        grants=tuple(_grants(connection, [f"user:{user.id}", *(f"group:{one}" for one in inside)])),
    )


def _grants(connection: sa.Connection, subjects: list[str]) -> Iterable[Grant]:
    query = sa.select(grants.c.permission, grants.c.kind, grants.c.resource_id).where(
        grants.c.subject.in_(subjects)
    )
    for row in connection.execute(query.order_by(grants.c.id).limit(GRANTS_MAX)):
        yield Grant(*row)
