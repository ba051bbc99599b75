"""The innermost layer: whoever serves the path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from runstead.kernel.capability import ASGIApp, Dispatcher, Receive, Scope, Send


class Dispatch:
    """Asks the dispatchers in order, then the router.

    The router answers HEAD wherever it answers GET (RFC 9110 section 9.3.2); dispatchers see HEAD as it is.
    """

    def __init__(
        self, dispatchers: Sequence[Dispatcher], router: ASGIApp, methods: Mapping[str, bytes]
    ) -> None:
        """Build the layer.

        :param methods: path template of the router → its methods, for the answer to OPTIONS.
        """
        self._dispatchers = tuple(dispatchers)
        self._router = router
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for dispatcher in self._dispatchers:
            app = dispatcher.match(scope)
            if app is not None:
                scope.setdefault("path_template", f"({type(dispatcher).__name__})")
                await app(scope, receive, send)
                return
        if scope["type"] == "http":
            scope["path"] = _with_slashes_kept(scope)
            if scope["method"] == "HEAD":
                scope["method"] = "GET"
                send = _without_body(send)
            elif scope["method"] == "OPTIONS":
                send = self._with_all_methods(scope, send)
        await self._router(scope, receive, send)

    def _with_all_methods(self, scope: Scope, send: Send) -> Send:
        async def send_options(message: Any) -> None:
            allowed = self._methods.get(scope.get("path_template", ""))
            if message["type"] == "http.response.start" and allowed is not None:
                kept = [header for header in message["headers"] if header[0] != b"allow"]
                message = {**message, "headers": [*kept, (b"allow", allowed)]}
            await send(message)

        return send_options


def _with_slashes_kept(scope: Scope) -> str:
    """The path for the router, in which ``%2F`` stays: an encoded slash is part of a name (RFC 3986 section 2.2)."""
    raw: bytes = scope.get("raw_path") or b""
    path: str = scope["path"]
    if b"%2f" not in raw.lower():
        return path
    segments = raw.partition(b"?")[0].decode("latin-1").split("/")
    return "/".join(unquote(segment).replace("/", "%2F") for segment in segments)


def _without_body(send: Send) -> Send:
    async def send_head(message: Any) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
