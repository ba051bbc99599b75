"""The routes of apps as plain ASGI: no framework between the server and the script."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from runstead.capabilities.apps.assets import AssetStore, serve_asset
from runstead.capabilities.apps.errors import AppFailedError, AppResponseError, AppTimeoutError
from runstead.capabilities.apps.exchange import Reply, reply_of, request_of
from runstead.capabilities.apps.hostcalls import Caller
from runstead.capabilities.apps.management_paths import BODY_LIMITS, FORM_BYTES_MAX, PREFIX, address
from runstead.capabilities.apps.openapi import paths_of
from runstead.capabilities.apps.responding import Streamed
from runstead.capabilities.apps.routes import Match, OtherMethods
from runstead.capabilities.apps.service import AppsService
from runstead.capabilities.apps.stage import Target
from runstead.capabilities.apps.streams import StreamHub
from runstead.capabilities.apps.uploads import Form, read_form
from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import NotFoundError
from runstead.platform.execution.script import ScriptThrewError
from runstead.platform.http import (
    ByteStream,
    MethodNotAllowedError,
    actor_of,
    error_response,
    header_of,
    is_reserved,
    read_body,
    request_id_of,
    set_route,
)

_MULTIPART = "multipart/form-data"
_HEARTBEAT = (15.0, b":\n\n")


class AppsDispatcher:
    """Serves what apps have registered at this moment."""

    #: For the management routes whose ids have slashes; the others say it themselves.
    body_limits = BODY_LIMITS

    def __init__(
        self, service: AppsService, *, streams: StreamHub, assets: AssetStore, is_development: bool
    ) -> None:
        """:param is_development: callers see what a script threw, and where."""
        self._service = service
        self._streams = streams
        self._assets = assets
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
            set_route(scope, found.entry.path)
            kind = found.entry.target.route.kind
            if kind == "stream":
                await self._listen(found, scope, receive, send)
            elif kind == "asset":
                await self._file(found, scope, send)
            else:
                await self._serve(found, scope, receive, send)

        return app

    def body_limit_of(self, scope: Scope) -> int | None:
        """Forms with files may be larger than other bodies, where an app takes them."""
        if not (header_of(scope, b"content-type") or "").lower().startswith(_MULTIPART):
            return None
        path = scope["path"]
        if scope["method"] == "PUT" and path.startswith(PREFIX):
            return FORM_BYTES_MAX
        found = self._service.match(scope["method"], path, scope.get("raw_path"))
        return (
            self._service.settings.upload_max_bytes
            if isinstance(found, Match) and not is_reserved(path)
            else None
        )

    def openapi_paths(self) -> Mapping[str, Any]:
        """What apps serve."""
        return paths_of(self._service.routes())

    async def _serve(self, found: Match[Target], scope: Scope, receive: Receive, send: Send) -> None:
        settings, seconds = self._service.settings, found.entry.target.serving.limits.wall_seconds
        is_head = scope["method"] == "HEAD"
        streamed = Streamed(receive, send, is_head=is_head, strict=settings.strict_responses)
        form: Form | None = None
        try:
            async with asyncio.timeout(seconds) as clock:
                content_type = header_of(scope, b"content-type") or ""
                if content_type.lower().startswith(_MULTIPART):
                    # How long an upload may take is the body limiter's business.
                    clock.reschedule(None)
                    form = await read_form(receive, content_type)
                    clock.reschedule(asyncio.get_running_loop().time() + seconds)
                body = form if form is not None else await read_body(receive, settings.body_max_bytes)
                streamed.clocks.append(clock)
                reply = await self._call(found, scope, body, streamed)
        except TimeoutError:
            if streamed.started:
                raise
            raise AppTimeoutError(
                f"the app did not answer within {seconds * 1000:.0f} ms",
                details={"limit_ms": round(seconds * 1000)},
            ) from None
        finally:
            streamed.close()
            if form is not None:
                form.close()
        if reply is None:
            await streamed.end()
            return
        start = {"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)}
        await send(start)
        await send({"type": "http.response.body", "body": b"" if is_head else reply.body})

    async def _call(
        self, found: Match[Target], scope: Scope, body: bytes | Form, streamed: Streamed
    ) -> Reply | None:
        """The answer; None: it has been sent in pieces."""
        service, target, request_id = self._service, found.entry.target, request_id_of(scope)
        request = request_of(scope, found.params, body)
        try:
            outcome = await service.call(
                target,
                request,
                caller_of(target, scope),
                request_id=request_id,
                streamed=streamed,
                uploads=body.uploads if isinstance(body, Form) else (),
            )
            if streamed.started:
                return None
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

    async def _listen(self, found: Match[Target], scope: Scope, receive: Receive, send: Send) -> None:
        """A stream: its customizer says what this client may hear, or answers in its stead."""
        self._streams.check_room()
        target = found.entry.target
        metadata: Mapping[str, Any] = {}
        if target.route.handler:
            try:
                outcome = await self._service.call(
                    target,
                    request_of(scope, found.params, b""),
                    caller_of(target, scope),
                    request_id=request_id_of(scope),
                    kind="stream",
                )
            except ScriptThrewError as error:
                raise self._thrown(error) from None
            told = outcome.value if isinstance(outcome.value, dict) else {}
            if "reply" in told:
                reply = reply_of(
                    told["reply"], strict=False, body_bytes_max=self._service.settings.response_max_bytes
                )
                await send(
                    {"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)}
                )
                await send({"type": "http.response.body", "body": reply.body})
                return
            metadata = told.get("metadata") or {}
        last_id = header_of(scope, b"last-event-id") or ""
        events = self._streams.listen(target.serving.app_id, scope["path"], metadata, last_id=last_id)
        answer = ByteStream(
            events,
            content_type="text/event-stream; charset=utf-8",
            # nginx would otherwise hold events back until its buffer is full.
            headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"},
            heartbeat=_HEARTBEAT,
            endless=True,
        )
        await answer(scope, receive, send)

    async def _file(self, found: Match[Target], scope: Scope, send: Send) -> None:
        target = found.entry.target
        app_id, name = target.serving.app_id, target.route.asset
        if found.params:
            # Below a wildcard the file is named by the path: /static/*rest with "public/" serves a folder.
            name = f"{name.rstrip('/')}/{[*found.params.values()][-1]}".lstrip("/")
        asset = await self._assets.find(app_id, name)
        if asset is None:
            raise NotFoundError
        await serve_asset(self._assets, app_id, asset, scope, send)

    def _thrown(self, error: ScriptThrewError) -> AppFailedError:
        """Developers see what was thrown and where; in production it is in the app's log, under the request id."""
        if not self._is_development:
            return AppFailedError()
        return AppFailedError(str(error), details={"name": error.name, "stack": list(error.frames)})


def caller_of(target: Target, scope: Scope) -> Caller:
    """For whom a request is answered."""
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
