"""What one does with an app that runs, below /api/apps: look at it, try something in it, test it."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Response
from msgspec import Meta, Struct

from runstead.capabilities.apps.console import AppConsole
from runstead.capabilities.apps.events import Timers, Webhooks
from runstead.capabilities.apps.hostcalls import Caller
from runstead.capabilities.apps.http import insist
from runstead.capabilities.apps.management_paths import id_of
from runstead.capabilities.apps.service import AppsService
from runstead.capabilities.apps.streams import StreamHub
from runstead.platform.http import ByteStream, actor_of, guard, request_id_of, sse, stream


class Evaluation(Struct, frozen=True, forbid_unknown_fields=True):
    """What to try."""

    code: Annotated[
        str, Meta(min_length=1, max_length=65_536, description="An expression, or the body of a function.")
    ]


def running_routes(
    service: AppsService, console: AppConsole, webhooks: Webhooks, timers: Timers, streams: StreamHub
) -> Router:
    """Logs, evaluation, tests, timers, deliveries, streams."""
    return Router(
        path="/api/apps",
        route_handlers=[*_trying(service), *_looking(service, console, webhooks, timers, streams)],
        tags=["apps"],
    )


def _trying(service: AppsService) -> list[Any]:
    @post(
        "/{app_id:str}/eval",
        guards=[guard("apps.write", each=True)],
        summary="Evaluate something in the app's sandbox; what it changes is undone",
        status_code=200,
    )
    async def evaluate(
        request: Request[Any, Any, Any], app_id: FromPath[str], data: JSONBody[Evaluation]
    ) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.write")
        app = await service.get(id_of(app_id))
        caller = Caller(app.id, actor_of(request.scope))
        return await service.trials.evaluate(app, data.code, caller, request_id=request_id_of(request.scope))

    @post(
        "/{app_id:str}/test",
        guards=[guard("apps.test", each=True)],
        summary="Run the tests that the app carries; what they change is undone",
        status_code=200,
    )
    async def test(request: Request[Any, Any, Any], app_id: FromPath[str]) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.test")
        app = await service.get(id_of(app_id))
        caller = Caller(app.id, actor_of(request.scope))
        return await service.trials.test(app, caller, request_id=request_id_of(request.scope))

    return [evaluate, test]


def _looking(
    service: AppsService, console: AppConsole, webhooks: Webhooks, timers: Timers, streams: StreamHub
) -> list[Any]:
    @get(
        "/{app_id:str}/logs",
        guards=[guard("apps.read", each=True)],
        summary="Its last lines: live as text/event-stream, else as JSON",
        opt={"content_types": ["application/json", "text/event-stream"]},
    )
    async def logs(
        request: Request[Any, Any, Any],
        app_id: FromPath[str],
        request_id: Annotated[str, QueryParameter(max_length=128, description="Of one request only.")] = "",
    ) -> Response[Any]:
        await insist(service, request, app_id, "apps.read")
        app = await service.get(id_of(app_id))
        if "text/event-stream" in request.headers.get("accept", ""):
            return sse(console.follow(app.id, request_id))
        return Response({"lines": console.recent(app.id, request_id)})

    @get("/{app_id:str}/deliveries", guards=[guard("apps.read", each=True)], summary="What its webhooks sent")
    async def list_deliveries(request: Request[Any, Any, Any], app_id: FromPath[str]) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.read")
        app = await service.get(id_of(app_id))
        return {"deliveries": [one.as_json() for one in await webhooks.list(app.id)]}

    @get("/{app_id:str}/timers", guards=[guard("apps.read", each=True)], summary="Its timers")
    async def list_timers(request: Request[Any, Any, Any], app_id: FromPath[str]) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.read")
        app = await service.get(id_of(app_id))
        return {"timers": await timers.list(app.id)}

    @get(
        "/{app_id:str}/streams",
        guards=[guard("apps.read", each=True)],
        summary="Its streams: connections, messages sent and dropped",
    )
    async def list_streams(request: Request[Any, Any, Any], app_id: FromPath[str]) -> dict[str, Any]:
        await insist(service, request, app_id, "apps.read")
        app = await service.get(id_of(app_id))
        return {"streams": streams.figures(app.id)}

    @get(
        "/{app_id:str}/database",
        guards=[guard("apps.write", each=True)],
        summary="All that is in its database, as lines of JSON",
        opt={"content_types": ["application/x-ndjson"]},
    )
    async def export_database(request: Request[Any, Any, Any], app_id: FromPath[str]) -> ByteStream:
        await insist(service, request, app_id, "apps.write")
        app = await service.get(id_of(app_id))
        return stream(service.database_lines(app.id), "application/x-ndjson")

    return [logs, export_database, list_deliveries, list_timers, list_streams]
