"""The routes of the server itself: liveness, health, readiness, metrics, the API description and its page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.openapi.datastructures import ResponseSpec

from runstead.kernel.clock import rfc3339
from runstead.platform.http.info import ServerInfo
from runstead.platform.http.lifecycle import is_draining
from runstead.platform.observability import METRICS_CONTENT_TYPE, Health, Metrics, Phase, Status

_TAGS = ["server"]


class Alive(msgspec.Struct):
    """The process answers."""

    status: Literal["ok"]


class Readiness(msgspec.Struct):
    """Whether new work should be sent here."""

    status: Literal["ready", "starting", "draining", "down"]


class DependencyHealth(msgspec.Struct, omit_defaults=True):
    """How one dependency is."""

    name: str
    status: Literal["ok", "degraded", "down"]
    latency_ms: Annotated[float, msgspec.Meta(ge=0)]
    critical: bool
    facts: dict[str, Any] = {}
    error: str | None = None


class HealthPage(msgspec.Struct):
    """How the server and everything it depends on is."""

    status: Literal["ok", "degraded", "down"]
    checked_at: str
    started_at: str
    versions: dict[str, str]
    checks: list[DependencyHealth]


def builtin_routes(
    *, health: Health, metrics: Metrics, info: ServerInfo, openapi: Callable[[], bytes]
) -> list[Any]:
    """The handlers."""

    @get("/healthz", tags=_TAGS, summary="Is the process alive?", operation_id="server_alive")
    async def alive() -> Alive:
        return Alive(status="ok")

    @get(
        "/health",
        tags=_TAGS,
        summary="How is everything that the server depends on?",
        operation_id="server_health",
        responses={503: ResponseSpec(HealthPage, description="Something critical does not work.")},
    )
    async def health_page() -> Response[HealthPage]:
        report = await health.report()
        page = HealthPage(
            status=report.status.value,
            checked_at=report.checked_at,
            started_at=rfc3339(info.started_at),
            versions={info.name.lower(): info.version, **info.versions},
            checks=[
                DependencyHealth(
                    name=check.name,
                    status=check.status.value,
                    latency_ms=check.latency_ms,
                    critical=check.critical,
                    facts=dict(check.facts),
                    error=check.error,
                )
                for check in report.checks
            ],
        )
        return Response(page, status_code=503 if report.status is Status.DOWN else 200)

    @get(
        "/ready",
        tags=_TAGS,
        summary="Should new work be sent here?",
        operation_id="server_ready",
        responses={503: ResponseSpec(Readiness, description="Not now.")},
    )
    async def ready(request: Request[Any, Any, Any]) -> Response[Readiness]:
        if is_draining(request.scope) or health.phase is Phase.DRAINING:
            return Response(Readiness(status="draining"), status_code=503)
        if health.phase is Phase.STARTING:
            return Response(Readiness(status="starting"), status_code=503)
        if not await health.is_ready():
            return Response(Readiness(status="down"), status_code=503)
        return Response(Readiness(status="ready"))

    @get(
        "/metrics",
        tags=_TAGS,
        summary="Figures in Prometheus' text format",
        operation_id="server_metrics",
        media_type="text/plain",
    )
    async def metrics_page() -> Response[str]:
        # Litestar adds the charset to every text.
        return Response(metrics.render().decode(), media_type=METRICS_CONTENT_TYPE.partition("; charset")[0])

    @get(
        "/openapi.json",
        tags=_TAGS,
        summary="This description",
        operation_id="server_openapi",
        media_type=MediaType.JSON,
    )
    async def openapi_document() -> Response[dict[str, Any]]:
        # Bytes are sent as they are; the annotation is what the description says of them.
        return Response(cast("dict[str, Any]", openapi()), media_type=MediaType.JSON)

    return [alive, health_page, ready, metrics_page, openapi_document]
