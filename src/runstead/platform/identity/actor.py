"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ActorKind = Literal["anonymous", "machine", "user", "project", "app", "job"]

ROLE_ADMINISTRATOR: Final = "administrator"
ROLE_OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission on one thing: ``permission`` is an action, ``area.*``, or :data:`OWNER`."""

    permission: str
    kind: str
    id: str


#: The permission of whoever owns a thing: everything on it.
OWNER: Final = "owner"


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever a request is made for. ``id`` is stable and safe to log; it is never a credential."""

    kind: ActorKind
    id: str
    roles: frozenset[str] = frozenset()
    #: For people to read; never decided on.
    name: str = ""
    mail: str = ""
    #: Ids of the groups that the actor is in, by itself or through other groups.
    groups: frozenset[str] = frozenset()
    grants: tuple[Grant, ...] = ()
    #: What an API token is limited to, as ``area.verb`` or ``area.*``; None: no limit beyond what the user may do.
    scopes: frozenset[str] | None = None
    #: Which session or token speaks; empty for machines.
    credential_id: str = ""
    #: When the person behind it last proved who they are: seconds since the epoch; 0 for tokens.
    proved_at: float = 0.0

    @property
    def is_anonymous(self) -> bool:
        return self.kind == "anonymous"

    @property
    def is_machine(self) -> bool:
        """Whether a shared credential of the server speaks, and no person."""
        return self.kind == "machine"

    def owns(self, owner: str) -> bool:
        """Whether this owner is the actor or one of the actor's groups."""
        return bool(owner) and (
            owner == str(self) or (owner.startswith("group:") and owner[6:] in self.groups)
        )

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


ANONYMOUS: Final = Actor("anonymous", "")
ADMINISTRATOR: Final = Actor("machine", ROLE_ADMINISTRATOR, frozenset({ROLE_ADMINISTRATOR}))
OPERATOR: Final = Actor("machine", ROLE_OPERATOR, frozenset({ROLE_OPERATOR}))
