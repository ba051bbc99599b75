"""One span per request; in the stack only when traces are sent."""

from __future__ import annotations

from typing import Any

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.platform.http.scope import header_of, request_id_of, route_of
from runstead.platform.observability.tracing import Tracing


class Trace:
    """Continues the caller's trace or begins one, and puts its id into the log."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        carried = {name: header_of(scope, name.encode()) or "" for name in ("traceparent", "tracestate")}
        status = 0

        async def watching_send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracing.request(method, scope["path"], carried, request_id_of(scope)) as span:
            scope["state"]["log_fields"]["trace_id"] = span.trace_id
            try:
                await self._app(scope, receive, watching_send)
            finally:
                span.ended(method, route_of(scope), status)
