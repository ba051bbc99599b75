"""The one permission check. Everything that a request may do is asked here and nowhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from runstead.kernel.errors import ForbiddenError, UnauthorizedError
from runstead.platform.identity.actor import ROLE_ADMINISTRATOR, ROLE_OPERATOR, Actor

#: What each role may do. ``area.*`` stands for every action of that area. Whatever is not listed is refused.
GRANTS: Final[dict[str, frozenset[str]]] = {
    ROLE_ADMINISTRATOR: frozenset({"*"}),
    ROLE_OPERATOR: frozenset({"endpoints.*", "jobs.*", "logs.read", "records.*", "apps.read"}),
}

#: What everyone may do, also without a credential.
PUBLIC: Final[frozenset[str]] = frozenset({"server.public"})


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and why: the reason is safe to show to the one who asked."""

    allowed: bool
    reason: str


def allow(actor: Actor, action: str, resource: Any = None) -> Decision:
    """Decide whether the actor may do this.

    :param action: dotted, ``area.verb``: ``jobs.start``.
    :param resource: what it would be done to; the roles of today do not look at it.
    """
    if action in PUBLIC:
        return Decision(True, "open to everyone")
    area = action.partition(".")[0] + ".*"
    for role in actor.roles:
        granted = GRANTS.get(role, frozenset())
        if "*" in granted or action in granted or area in granted:
            return Decision(True, f"granted to {role}")
    if actor.is_anonymous:
        return Decision(False, f"{action} needs a credential")
    return Decision(False, f"{action} is not granted to {actor}")


def require(actor: Actor, action: str, resource: Any = None) -> None:
    """Refuse unless allowed.

    :raises UnauthorizedError: no valid credential was sent, so sending one may help.
    :raises ForbiddenError: the credential is known and does not carry that far.
    """
    decision = allow(actor, action, resource)
    if decision.allowed:
        return
    if actor.is_anonymous:
        raise UnauthorizedError(decision.reason, headers={"WWW-Authenticate": 'Bearer realm="runstead"'})
    raise ForbiddenError(decision.reason)


def guard(action: str) -> Callable[[Any, Any], Awaitable[None]]:
    """A Litestar guard that asks :func:`require` for this action.

    The guard carries the action, so that the API description can say which operations need a credential.
    """

    # Async without need: Litestar runs guards that are not in a thread each.
    async def check(connection: Any, _handler: Any) -> None:
        require(connection.scope["state"]["actor"], action)

    check.action = action  # type: ignore[attr-defined]
    return check
