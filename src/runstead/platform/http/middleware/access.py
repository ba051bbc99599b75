"""Counts and writes down every request."""

from __future__ import annotations

import time
from typing import Any, Final

import structlog

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.platform.http.scope import route_of
from runstead.platform.observability import Metrics

#: Asked every few seconds by machines; at INFO they would be most of the log.
_QUIET: Final = frozenset({"/healthz", "/ready", "/metrics"})


class Access:
    """One access log line and one metrics observation per request, after the last byte or the failure."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, log: bool) -> None:
        self._app = app
        self._metrics = metrics
        self._log = structlog.get_logger("access") if log else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        # Routers rewrite both while they work.
        method, path = scope["method"], scope["path"]
        status = 0
        sent = 0

        async def counting_send(message: Any) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            elif message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.request_began()
        try:
            await self._app(scope, receive, counting_send)
        finally:
            seconds = time.perf_counter() - began
            state = scope["state"]
            received = state.get("bytes_in", 0)
            self._metrics.request_ended(method, route_of(scope), status, seconds, received, sent)
            if self._log is not None:
                write = self._log.debug if path in _QUIET and status < 400 else self._log.info
                write(
                    "request",
                    method=method,
                    path=path,
                    status=status,
                    duration_ms=round(seconds * 1000, 3),
                    bytes_in=received,
                    bytes_out=sent,
                    client=(scope.get("client") or ("",))[0],
                )
