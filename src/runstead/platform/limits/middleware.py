"""The layer that counts requests."""

from __future__ import annotations

from typing import Any, Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.platform.http.scope import actor_of
from runstead.platform.limits.limiter import Asker, Limiter

#: Machines that watch the server must be able to when it is under pressure.
_EXEMPT: Final = frozenset({"/healthz", "/ready"})


class RateLimits:
    """Behind the authentication, for it counts by user; in front of everything that costs."""

    def __init__(self, app: ASGIApp, *, limiter: Limiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _EXEMPT:
            await self._app(scope, receive, send)
            return
        actor = actor_of(scope)
        standing = await self._limiter.admit(
            Asker(
                address=(scope.get("client") or ("",))[0],
                user="" if actor.is_anonymous else str(actor),
                tenant=scope["state"].get("tenant", ""),
                method=scope.get("method", "GET"),
                # As the router reads it: doubled slashes must not lead around a limit.
                path="/" + "/".join(part for part in scope["path"].split("/") if part),
            )
        )
        if standing is None:
            await self._app(scope, receive, send)
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in standing.headers().items()]

        async def send_with_standing(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message.get("headers", ())}
                if headers[0][0] not in present:
                    message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, send_with_standing)
