"""Turns whatever is raised below into an answer."""

from __future__ import annotations

from typing import Any

import structlog

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import BadRequestError
from runstead.platform.http.body import ClientDisconnectedError
from runstead.platform.http.errors import public_error
from runstead.platform.http.responses import json_response
from runstead.platform.http.scope import request_id_of
from runstead.platform.observability.redaction import Redactor

_log = structlog.get_logger("http")


class ErrorBoundary:
    """Sends the envelope for any exception; what the client may not know goes to the log under the same request id.

    When the answer has begun it cannot be taken back: the exception is logged and passed on, so that the server
    closes the connection and the client sees that the answer is not complete.
    """

    def __init__(self, app: ASGIApp, *, redactor: Redactor | None = None) -> None:
        """:param redactor: masks secrets that a message quotes."""
        self._app = app
        self._redactor = redactor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watching_send(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watching_send)
        except Exception as error:
            public = public_error(error)
            if isinstance(error, ClientDisconnectedError) or scope["state"].get("disconnected"):
                # Nobody reads this when the client is gone; someone does when its chunks were malformed.
                public = BadRequestError("The request ended before its body did.")
                _log.debug("request ended early", path=scope["path"])
            elif public.status >= 500 and (public is not error or error.__cause__ is not None):
                _log.error("request failed", path=scope["path"], code=public.code, exc_info=error)
            if started:
                _log.warning("answer cut off", path=scope["path"], code=public.code)
                raise
            if scope["type"] == "websocket":
                # 4000-4999 is the range for applications (RFC 6455 section 7.4.2).
                await send({"type": "websocket.close", "code": 4000 + public.status, "reason": public.code})
                return
            envelope = public.envelope(request_id_of(scope))
            if self._redactor is not None:
                envelope = self._redactor.scrub(envelope)
            await json_response(public.status, envelope, public.headers)(scope, receive, send)
