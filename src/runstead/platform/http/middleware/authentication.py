"""Finds out who asks."""

from __future__ import annotations

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import UnauthorizedError
from runstead.platform.identity import CREDENTIAL_HEADERS, Identity


class Authentication:
    """Puts the actor and the session into the state and into the log context.

    It refuses nobody but an address that is locked out: the guard of the route does. When one refuses a credential that was
    sent, that counts as a guess.
    """

    def __init__(self, app: ASGIApp, *, identity: Identity) -> None:
        self._app = app
        self._identity = identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        headers = state["headers"]
        if CREDENTIAL_HEADERS.isdisjoint(headers):
            await self._app(scope, receive, send)
            return
        address = (scope.get("client") or ("",))[0]
        agent = headers.get(b"user-agent", b"").decode("latin-1")
        found = await self._identity.authenticate(scope["headers"], address, agent)
        if not found.actor.is_anonymous:
            state["actor"] = found.actor
            state["log_fields"]["actor"] = str(found.actor)
        if found.session is not None:
            state["session"] = found.session
            state["authenticated_by"] = "session"
        try:
            await self._app(scope, receive, send)
        except UnauthorizedError:
            if found.unknown:
                self._identity.refused(address)
            raise
