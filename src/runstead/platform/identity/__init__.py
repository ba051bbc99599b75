"""Who is asking, and may they: actors, credentials and the one permission check."""

from runstead.platform.identity.actor import (
    ADMINISTRATOR,
    ANONYMOUS,
    OPERATOR,
    OWNER,
    ROLE_ADMINISTRATOR,
    ROLE_OPERATOR,
    Actor,
    ActorKind,
    Grant,
)
from runstead.platform.identity.authentication import CREDENTIAL_HEADERS, Authenticated, Identity
from runstead.platform.identity.errors import LockedError
from runstead.platform.identity.lockout import Lockout
from runstead.platform.identity.permissions import (
    PUBLIC,
    Decision,
    Resource,
    allow,
    granted_ids,
    guard,
    may_somewhere,
    require,
)
from runstead.platform.identity.roles import ROLES, Role

__all__ = [
    "ADMINISTRATOR",
    "ANONYMOUS",
    "CREDENTIAL_HEADERS",
    "OPERATOR",
    "OWNER",
    "PUBLIC",
    "ROLES",
    "ROLE_ADMINISTRATOR",
    "ROLE_OPERATOR",
    "Actor",
    "ActorKind",
    "Authenticated",
    "Decision",
    "Grant",
    "Identity",
    "LockedError",
    "Lockout",
    "Resource",
    "Role",
    "allow",
    "granted_ids",
    "guard",
    "may_somewhere",
    "require",
]
