"""The routes of apps as plain ASGI: no framework between the server and the script."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from runstead.capabilities.apps.errors import AppFailedError, AppResponseError, AppTimeoutError
from runstead.capabilities.apps.exchange import Reply, reply_of, request_of
from runstead.capabilities.apps.hostcalls import Caller
from runstead.capabilities.apps.management_paths import BODY_LIMITS, address
from runstead.capabilities.apps.openapi import paths_of
from runstead.capabilities.apps.routes import Match, OtherMethods
from runstead.capabilities.apps.service import AppsService
from runstead.capabilities.apps.stage import Target
from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.platform.execution.script import ScriptThrewError
from runstead.platform.http import (
    MethodNotAllowedError,
    actor_of,
    error_response,
    is_reserved,
    read_body,
    request_id_of,
    set_route,
)


class AppsDispatcher:
    """Serves what apps have registered at this moment."""

    #: For the management routes whose ids have slashes; the others say it themselves.
    body_limits = BODY_LIMITS

    def __init__(self, service: AppsService, *, is_development: bool) -> None:
        """:param is_development: callers see what a script threw, and where."""
        self._service = service
        self._is_development = is_development

    def match(self, scope: Scope) -> ASGIApp | None:
        """The application for this request; None when it is no app's."""
        if scope["type"] != "http":
            return None
        path = scope["path"]
        if path.startswith("/api/apps/"):
            address(scope)
            return None
        found = self._service.match(scope["method"], path, scope.get("raw_path"))
        # A pattern such as /:page also fits the server's own paths, and they are not for apps.
        if found is None or is_reserved(path):
            return None
        if isinstance(found, OtherMethods):
            return _other_method(found.allowed)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._serve(found, scope, receive, send)

        return app

    def openapi_paths(self) -> Mapping[str, Any]:
        """What apps serve."""
        return paths_of(self._service.routes())

    async def _serve(self, found: Match[Target], scope: Scope, receive: Receive, send: Send) -> None:
        set_route(scope, found.entry.path)
        settings = self._service.settings
        try:
            async with asyncio.timeout(settings.request_timeout_ms / 1000):
                body = await read_body(receive, settings.body_max_bytes)
                reply = await self._call(found, scope, body)
        except TimeoutError:
            raise AppTimeoutError(
                f"the app did not answer within {settings.request_timeout_ms} ms",
                details={"limit_ms": settings.request_timeout_ms},
            ) from None
        start = {"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)}
        await send(start)
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _call(self, found: Match[Target], scope: Scope, body: bytes) -> Reply:
        service, target, request_id = self._service, found.entry.target, request_id_of(scope)
        request = request_of(scope, found.params, body)
        try:
            outcome = await service.call(target, request, _caller(target, scope), request_id=request_id)
            reply = reply_of(
                outcome.value,
                strict=service.settings.strict_responses,
                body_bytes_max=service.settings.response_max_bytes,
            )
        except ScriptThrewError as error:
            # It is in the app's log; the server's own has nothing to say about it.
            raise self._thrown(error) from None
        except AppResponseError as error:
            service.note(target, "error", error.message, request_id=request_id)
            if self._is_development:
                raise
            raise AppResponseError from None
        for warning in reply.warnings:
            service.note(target, "warn", warning, request_id=request_id)
        return reply

    def _thrown(self, error: ScriptThrewError) -> AppFailedError:
        """Developers see what was thrown and where; in production it is in the app's log, under the request id."""
        if not self._is_development:
            return AppFailedError()
        return AppFailedError(str(error), details={"name": error.name, "stack": list(error.frames)})


def _caller(target: Target, scope: Scope) -> Caller:
    session = scope["state"].get("session")
    return Caller(target.serving.app_id, actor_of(scope), session.method if session is not None else "")


def _other_method(allowed: tuple[str, ...]) -> ASGIApp:
    """The path is known, the method is not; OPTIONS is what one asks that with."""
    methods = tuple(sorted({*allowed, "OPTIONS"}))
    allow = ", ".join(methods)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await send(
                {"type": "http.response.start", "status": 204, "headers": [(b"allow", allow.encode())]}
            )
            await send({"type": "http.response.body", "body": b""})
            return
        error = MethodNotAllowedError(details={"allowed": list(methods)}, headers={"Allow": allow})
        await error_response(error, request_id_of(scope))(scope, receive, send)

    return app
