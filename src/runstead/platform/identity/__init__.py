"""Who is asking, and may they: actors, credentials and the one permission check."""

from runstead.platform.identity.actor import (
    ADMINISTRATOR,
    ANONYMOUS,
    OPERATOR,
    ROLE_ADMINISTRATOR,
    ROLE_OPERATOR,
    Actor,
    ActorKind,
)
from runstead.platform.identity.authentication import CREDENTIAL_HEADERS, Identity
from runstead.platform.identity.permissions import Decision, allow, guard, require

__all__ = [
    "ADMINISTRATOR",
    "ANONYMOUS",
    "CREDENTIAL_HEADERS",
    "OPERATOR",
    "ROLE_ADMINISTRATOR",
    "ROLE_OPERATOR",
    "Actor",
    "ActorKind",
    "Decision",
    "Identity",
    "allow",
    "guard",
    "require",
]
