"""The routes of apps as plain ASGI: no framework between the server and the script."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from runstead.capabilities.apps.errors import AppFailedError, AppTimeoutError
from runstead.capabilities.apps.exchange import Reply, reply_of, request_of
from runstead.capabilities.apps.openapi import paths_of
from runstead.capabilities.apps.routes import Match, OtherMethods
from runstead.capabilities.apps.service import AppsService, Target
from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.platform.execution.script import ScriptError
from runstead.platform.http import MethodNotAllowedError, error_response, read_body, request_id_of, set_route

_log = structlog.get_logger("apps")


class AppsDispatcher:
    """Serves what apps have registered at this moment."""

    def __init__(self, service: AppsService) -> None:
        self._service = service

    def match(self, scope: Scope) -> ASGIApp | None:
        if scope["type"] != "http":
            return None
        found = self._service.match(scope["method"], scope["path"])
        if found is None:
            return None
        if isinstance(found, OtherMethods):
            return _method_not_allowed(found.allowed)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._serve(found, scope, receive, send)

        return app

    def openapi_paths(self) -> Mapping[str, Any]:
        return paths_of(self._service.routes())

    async def _serve(self, found: Match[Target], scope: Scope, receive: Receive, send: Send) -> None:
        set_route(scope, found.entry.path)
        settings = self._service.settings
        try:
            async with asyncio.timeout(settings.request_timeout_ms / 1000):
                body = await read_body(receive, settings.body_max_bytes)
                reply = await self._call(found, scope, body)
        except TimeoutError:
            raise AppTimeoutError(f"the app did not answer within {settings.request_timeout_ms} ms") from None
        start = {"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)}
        await send(start)
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _call(self, found: Match[Target], scope: Scope, body: bytes) -> Reply:
        service, target = self._service, found.entry.target
        request = request_of(scope, found.params, body)
        try:
            outcome = await service.call(target, request, request_id=request_id_of(scope))
        except ScriptError as error:
            raise self._shown(error) from error
        reply = reply_of(
            outcome.value,
            strict=service.settings.strict_responses,
            body_bytes_max=service.settings.response_max_bytes,
        )
        for warning in reply.warnings:
            _log.warning(
                "app response mended", app_id=target.serving.app_id, route=target.route.path, mended=warning
            )
        return reply

    def _shown(self, error: ScriptError) -> AppFailedError:
        """Developers see what was thrown and where; in production it is in the app's log, under the request id."""
        if not self._service.is_development:
            return AppFailedError()
        frames = [line.strip() for line in error.stack.splitlines() if line.strip()]
        return AppFailedError(str(error), details={"name": error.name, "stack": frames})


def _method_not_allowed(allowed: tuple[str, ...]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        error = MethodNotAllowedError(
            details={"allowed": list(allowed)}, headers={"Allow": ", ".join(allowed)}
        )
        await error_response(error, request_id_of(scope))(scope, receive, send)

    return app
