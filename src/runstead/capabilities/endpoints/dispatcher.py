"""The declared routes as plain ASGI: parse, admit, call, answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from runstead.capabilities.endpoints.door import Door
from runstead.capabilities.endpoints.model import Call, Endpoint
from runstead.capabilities.endpoints.openapi import components, paths_of
from runstead.capabilities.endpoints.request import BODY_BYTES_MAX, merge_params, parse_body, parse_query
from runstead.capabilities.endpoints.routes import Found, MethodMismatch
from runstead.capabilities.endpoints.service import EndpointsService
from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import RunsteadError
from runstead.platform.http import (
    ClientDisconnectedError,
    MethodNotAllowedError,
    actor_of,
    error_response,
    header_of,
    json_response,
    read_body,
    request_id_of,
    set_route,
)


class EndpointsDispatcher:
    """Serves what is declared at this moment."""

    def __init__(self, service: EndpointsService, door: Door) -> None:
        self._service = service
        self._door = door

    def match(self, scope: Scope) -> ASGIApp | None:
        """The application for this request; an unknown path, or a disabled endpoint, is nobody's."""
        if scope["type"] != "http":
            return None
        found = self._service.match(scope["method"], scope["path"])
        if found is None:
            return None
        if isinstance(found, MethodMismatch):
            return _method_not_allowed(found.allowed)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._serve(found, scope, receive, send)

        return app

    def openapi_paths(self) -> Mapping[str, Any]:
        """What is declared and enabled."""
        return paths_of(each for each in self._service.endpoints() if each.settings.enabled)

    def openapi_components(self) -> Mapping[str, Any]:
        """What the paths refer to."""
        return components()

    async def _serve(self, found: Found[Endpoint], scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = found.target
        set_route(scope, endpoint.template.text)
        code: str | None = RunsteadError.code
        try:
            self._door.admit(actor_of(scope), _address_of(scope), endpoint.name)
            call = await _read_call(found, scope, receive)
            if is_async := _wants_async(scope):
                run_id = await self._service.start(endpoint, call)
            else:
                answer = await self._call_while_connected(endpoint, call, receive)
            code = None
        except (ClientDisconnectedError, asyncio.CancelledError):
            code = "E_CLIENT_GONE"
            raise
        except RunsteadError as error:
            code = error.code
            raise
        finally:
            self._service.figures.answered(endpoint.name, code)
        if is_async:
            place = f"/api/endpoints/{endpoint.name}/runs/{run_id}"
            headers = {"Location": place, "Preference-Applied": "respond-async", "Retry-After": "1"}
            answer = {"run_id": run_id, "status": "queued", "run": place, "events": f"{place}/events"}
            await json_response(202, answer, headers=headers)(scope, receive, send)
            return
        await json_response(200, answer)(scope, receive, send)

    async def _call_while_connected(self, endpoint: Endpoint, call: Call, receive: Receive) -> dict[str, Any]:
        """Call, and stop the program when the caller goes away.

        :raises ClientDisconnectedError: when it did.
        """
        calling = asyncio.ensure_future(self._service.call(endpoint, call))
        watching = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((calling, watching), return_when=asyncio.FIRST_COMPLETED)
            if calling.done():
                return calling.result()
            raise ClientDisconnectedError
        finally:
            for task in (calling, watching):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(calling, watching, return_exceptions=True)


def _method_not_allowed(allowed: tuple[str, ...]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        error = MethodNotAllowedError(
            details={"allowed": list(allowed)}, headers={"Allow": ", ".join(allowed)}
        )
        await error_response(error, request_id_of(scope))(scope, receive, send)

    return app


async def _read_call(found: Found[Endpoint], scope: Scope, receive: Receive) -> Call:
    query = parse_query(scope.get("query_string", b""))
    body = await read_body(receive, BODY_BYTES_MAX)
    request = parse_body(body, header_of(scope, b"content-type") or "")
    return Call(
        entry_ids=request.entry_ids,
        params=merge_params(query, found.params, request.params),
        request_id=request_id_of(scope),
    )


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _wants_async(scope: Scope) -> bool:
    """``Prefer: respond-async`` (RFC 7240 section 4.1)."""
    preferences = (header_of(scope, b"prefer") or "").lower().split(",")
    return any(one.partition(";")[0].strip() == "respond-async" for one in preferences)


def _address_of(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "unknown"
