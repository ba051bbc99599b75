"""The one permission check. Everything that a request may do is asked here and nowhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from runstead.kernel.errors import ForbiddenError, UnauthorizedError
from runstead.platform.identity.actor import OWNER, Actor, Grant
from runstead.platform.identity.errors import StepUpError
from runstead.platform.identity.roles import ROLES, covers

#: What everyone may do, also without a credential.
PUBLIC: Final[frozenset[str]] = frozenset({"server.public"})

#: What every person may do, for it is about themselves; machines have no self.
PERSONAL: Final[frozenset[str]] = frozenset({"self.read", "self.write", "self.factors"})

#: What somebody whose last proof is long ago does only after another one (step-up), because it gives a thief of the session
#: more than the session.
DANGEROUS: Final[frozenset[str]] = frozenset(
    {
        "self.factors",
        "users.write",
        "users.delete",
        "groups.write",
        "grants.write",
        "secrets.rotate",
        "limits.write",
        "privacy.erase",
        "privacy.export",
        "audit.export",
    }
)

#: What ownership and grants never carry: it takes a role that may do it on everything.
RESERVED: Final[frozenset[str]] = frozenset({"apps.privilege"})


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that is acted on: ``kind`` is its area's singular (``app``), ``owner`` reads ``user:ID`` or ``group:ID``."""

    kind: str
    id: str
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and why: the reason is safe to show to the one who asked."""

    allowed: bool
    reason: str


def allow(actor: Actor, action: str, resource: Resource | None = None) -> Decision:
    """Decide whether the actor may do this.

    Without a resource only permissions on everything count; what somebody may do to their own things, or was granted on a
    single one, is asked for with the resource.

    :param action: dotted, ``area.verb``: ``jobs.start``.
    """
    if action in PUBLIC:
        return Decision(True, "open to everyone")
    if actor.is_anonymous:
        return Decision(False, f"{action} needs a credential")
    if actor.scopes is not None and not covers(actor.scopes, action):
        return Decision(False, f"{action} is not in the scope of this token")
    if action in PERSONAL:
        return Decision(actor.kind == "user", "about the person who asks")
    for name in sorted(actor.roles):
        role = ROLES.get(name)
        if role is not None and covers(role.on_any, action):
            return Decision(True, f"granted to {name}")
    if resource is not None and action not in RESERVED:
        return _on_one(actor, action, resource)
    return Decision(False, f"{action} is not granted to {actor}")


def _on_one(actor: Actor, action: str, resource: Resource) -> Decision:
    """What ownership and grants allow on one thing."""
    if actor.owns(resource.owner):
        for name in sorted(actor.roles):
            if name in ROLES and covers(ROLES[name].on_own, action):
                return Decision(True, f"granted to {name} on their own")
    if any(_fits(grant, action, resource) for grant in actor.grants):
        return Decision(True, f"granted on {resource}")
    return Decision(False, f"{action} on {resource} is not granted to {actor}")


def may_somewhere(actor: Actor, action: str) -> Decision:
    """Whether there can be a resource on which :func:`allow` says yes, for guards of routes that then ask about theirs."""
    decision = allow(actor, action)
    if decision.allowed or actor.is_anonymous or action in RESERVED:
        return decision
    if actor.scopes is not None and not covers(actor.scopes, action):
        return decision
    own = any(covers(ROLES[name].on_own, action) for name in actor.roles if name in ROLES)
    area = action.partition(".")[0]
    if own or any(_covers(grant, action) and area == grant.kind + "s" for grant in actor.grants):
        return Decision(True, "granted on some")
    return decision


def granted_ids(actor: Actor, action: str, kind: str) -> frozenset[str]:
    """The ids of things of a kind on which grants allow this: for lists that show somebody only theirs."""
    if actor.scopes is not None and not covers(actor.scopes, action):
        return frozenset()
    return frozenset(
        grant.id
        for grant in actor.grants
        if grant.kind == kind and _fits(grant, action, Resource(kind, grant.id))
    )


def require(actor: Actor, action: str, resource: Resource | None = None) -> None:
    """Refuse unless allowed.

    :raises UnauthorizedError: no valid credential was sent, so sending one may help.
    :raises ForbiddenError: the credential is known and does not carry that far.
    """
    _insist(actor, action, allow(actor, action, resource))


def guard(action: str, *, each: bool = False) -> Callable[[Any, Any], Awaitable[None]]:
    """A Litestar guard that asks :func:`require` for this action.

    The guard carries the action, so that the API description can say which operations need a credential.

    :param each: the handler asks again about the one resource that it acts on; the guard lets pass whoever may on some.
    """

    # Async without need: Litestar runs guards that are not in a thread each.
    async def check(connection: Any, _handler: Any) -> None:
        actor: Actor = connection.scope["state"]["actor"]
        _insist(actor, action, may_somewhere(actor, action) if each else allow(actor, action))
        if action in DANGEROUS and connection.scope["state"].get("stale"):
            raise StepUpError(details={"action": action, "prove_at": "/auth/prove"})

    check.action = action  # type: ignore[attr-defined]
    check.each = each  # type: ignore[attr-defined]
    return check


def _insist(actor: Actor, action: str, decision: Decision) -> None:
    if decision.allowed:
        return
    if actor.is_anonymous:
        raise UnauthorizedError(decision.reason, headers={"WWW-Authenticate": 'Bearer realm="runstead"'})
    raise ForbiddenError(decision.reason, details={"action": action})


def _covers(grant: Grant, action: str) -> bool:
    return grant.permission == OWNER or covers((grant.permission,), action)


def _fits(grant: Grant, action: str, resource: Resource) -> bool:
    """A grant speaks of one thing and of the actions of its area: who owns an app does not own a job of that name."""
    area = action.partition(".")[0]
    return (
        grant.kind == resource.kind
        and grant.id == resource.id
        and area == resource.kind + "s"
        and _covers(grant, action)
    )
