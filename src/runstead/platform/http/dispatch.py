"""The innermost layer: whoever serves the path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runstead.kernel.capability import ASGIApp, Dispatcher, Receive, Scope, Send


class Dispatch:
    """Asks the dispatchers in order, then the router.

    The router answers HEAD wherever it answers GET (RFC 9110 section 9.3.2); dispatchers see HEAD as it is.
    """

    def __init__(self, dispatchers: Sequence[Dispatcher], router: ASGIApp) -> None:
        self._dispatchers = tuple(dispatchers)
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for dispatcher in self._dispatchers:
            app = dispatcher.match(scope)
            if app is not None:
                scope.setdefault("path_template", f"({type(dispatcher).__name__})")
                await app(scope, receive, send)
                return
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope["method"] = "GET"
            send = _without_body(send)
        await self._router(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def send_head(message: Any) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
