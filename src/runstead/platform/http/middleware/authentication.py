"""Finds out who asks."""

from __future__ import annotations

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.platform.identity import CREDENTIAL_HEADERS, Identity


class Authentication:
    """Puts the actor into the state and into the log context. It refuses nobody: the guard of the route does."""

    def __init__(self, app: ASGIApp, *, identity: Identity) -> None:
        self._app = app
        self._identity = identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["state"]
        if not CREDENTIAL_HEADERS.isdisjoint(state["headers"]):
            actor = self._identity.authenticate(scope["headers"], scope.get("client"))
            if not actor.is_anonymous:
                state["actor"] = actor
                state["log_fields"]["actor"] = str(actor)
        await self._app(scope, receive, send)
