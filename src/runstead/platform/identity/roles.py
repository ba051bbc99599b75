"""The roles: sets of permissions, each on everything or only on what the actor owns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from runstead.platform.identity.actor import ROLE_ADMINISTRATOR, ROLE_OPERATOR


@dataclass(frozen=True, slots=True)
class Role:
    """``area.*`` stands for every action of that area, ``*`` for all. Whatever is not listed is refused."""

    name: str
    description: str
    #: Allowed on everything.
    on_any: frozenset[str]
    #: Allowed on what the actor, or a group of the actor's, owns.
    on_own: frozenset[str] = frozenset()


_READ: Final = frozenset({"apps.read", "endpoints.read", "jobs.read", "logs.read", "records.read"})
_TRY: Final = _READ | {"apps.test", "endpoints.call", "templates.read", "templates.run", "schedules.read"}
_BUILD: Final = _TRY | {
    "apps.create", "jobs.start", "schedules.create", "templates.create", "records.write", "secrets.list",
}  # fmt: skip


def _roles(*roles: Role) -> dict[str, Role]:
    return {role.name: role for role in roles}


ROLES: Final[dict[str, Role]] = _roles(
    Role("viewer", "Sees everything that is not secret and changes nothing.", _READ),
    Role(
        "tester",
        "Sees everything, calls endpoints, runs templates and the tests of apps.",
        _TRY,
        frozenset({"jobs.kill"}),
    ),
    Role(
        "designer",
        "A tester who also changes the assets of their own apps.",
        _TRY,
        frozenset({"jobs.kill", "apps.assets"}),
    ),
    Role(
        "developer",
        "Makes apps and starts jobs, and does as they like with their own.",
        _BUILD,
        frozenset({"apps.*", "jobs.*", "schedules.*", "templates.*", "secrets.*"}),
    ),
    Role(ROLE_ADMINISTRATOR, "May do everything.", frozenset({"*"})),
    Role(
        ROLE_OPERATOR,
        "The machine that holds MASTER_PASSWORD: calls endpoints, runs jobs, reads logs, keeps records.",
        frozenset(
            {
                "endpoints.*", "jobs.*", "schedules.*", "templates.*", "logs.read", "records.*", "apps.read", "secrets.use",
            }
        ),
    ),
)  # fmt: skip

#: Other names for a role.
ALIASES: Final = {"editor": "developer", "admin": ROLE_ADMINISTRATOR}

#: Roles that people and groups may have.
ASSIGNABLE: Final = tuple(name for name in ROLES if name != ROLE_OPERATOR)


def covers(permissions: Iterable[str], action: str) -> bool:
    """Whether one of these permissions stands for the action."""
    area = action.partition(".")[0] + ".*"
    return any(permission in ("*", action, area) for permission in permissions)
