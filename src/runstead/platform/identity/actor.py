"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ActorKind = Literal["anonymous", "machine", "user", "project", "app", "job"]

ROLE_ADMINISTRATOR: Final = "administrator"
ROLE_OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever a request is made for. ``id`` is stable and safe to log; it is never a credential."""

    kind: ActorKind
    id: str
    roles: frozenset[str] = frozenset()

    @property
    def is_anonymous(self) -> bool:
        return self.kind == "anonymous"

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}" if self.id else self.kind


ANONYMOUS: Final = Actor("anonymous", "")
ADMINISTRATOR: Final = Actor("machine", ROLE_ADMINISTRATOR, frozenset({ROLE_ADMINISTRATOR}))
OPERATOR: Final = Actor("machine", ROLE_OPERATOR, frozenset({ROLE_OPERATOR}))
