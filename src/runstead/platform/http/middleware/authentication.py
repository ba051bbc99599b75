"""Finds out who asks."""

from __future__ import annotations

from typing import Protocol

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import ForbiddenError, RunsteadError, UnauthorizedError
from runstead.platform.identity import CREDENTIAL_HEADERS, Identity, LockedError
from runstead.platform.identity.asking import Asking, reset_asking, set_asking


class Witness(Protocol):
    """Hears of those who were refused."""

    async def denied(self, actor: str, error: RunsteadError) -> None:
        """Somebody known may not do that."""
        ...

    async def locked(self, address: str) -> None:
        """An address has to wait."""
        ...


class Authentication:
    """Puts the actor and the session into the state, into the log context and into what the trail says of the request.

    It refuses nobody but an address that is locked out: the guard of the route does. When one refuses a credential that was
    sent, that counts as a guess.
    """

    def __init__(self, app: ASGIApp, *, identity: Identity, witness: Witness | None = None) -> None:
        self._app = app
        self._identity = identity
        self._witness = witness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        address = (scope.get("client") or ("",))[0]
        unknown = False
        if not CREDENTIAL_HEADERS.isdisjoint(state["headers"]):
            unknown = await self._authenticate(scope, address)
        actor = state["actor"]
        token = set_asking(Asking(str(actor), address, state["request_id"]))
        try:
            await self._app(scope, receive, send)
        except UnauthorizedError:
            if unknown:
                self._identity.refused(address)
            raise
        except ForbiddenError as error:
            if self._witness is not None and not actor.is_anonymous:
                await self._witness.denied(str(actor), error)
            raise
        finally:
            reset_asking(token)

    async def _authenticate(self, scope: Scope, address: str) -> bool:
        """Whether a credential was sent that nobody here knows."""
        state = scope["state"]
        agent = state["headers"].get(b"user-agent", b"").decode("latin-1")
        try:
            found = await self._identity.authenticate(scope["headers"], address, agent)
        except LockedError:
            if self._witness is not None:
                token = set_asking(Asking("anonymous", address, state["request_id"]))
                try:
                    await self._witness.locked(address)
                finally:
                    reset_asking(token)
            raise
        if not found.actor.is_anonymous:
            state["actor"] = found.actor
            state["log_fields"]["actor"] = str(found.actor)
        if found.session is not None:
            state["session"] = found.session
            state["stale"] = found.stale
            state["authenticated_by"] = "session"
        return found.unknown
