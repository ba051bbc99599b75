"""Puts the capability together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from runstead.capabilities.logs import MIGRATIONS
from runstead.capabilities.logs.admin import routes
from runstead.capabilities.logs.http import LogsDispatcher
from runstead.capabilities.logs.ports import Masker, Sealer
from runstead.capabilities.logs.privacy import LogsPersonalData
from runstead.capabilities.logs.service import LogsService
from runstead.capabilities.logs.settings import LogsSettings
from runstead.kernel.capability import Capability, HealthCheck
from runstead.kernel.clock import Clock, SystemClock
from runstead.kernel.trail import Trail
from runstead.platform.storage.sql import Database


def capability(
    *,
    settings: LogsSettings,
    db: Database,
    sealer: Sealer,
    clock: Clock | None = None,
    trail: Trail | None = None,
    registry: CollectorRegistry | None = None,
    masker: Masker | None = None,
) -> Capability:
    """Put the capability together. No I/O.

    ``services["intake"]`` is the LogSink for the others.

    :param sealer: keeps the projects' secrets.
    :param masker: masks secrets of the server in what senders write.
    :param registry: where the counters go that a monitoring system reads.
    """
    service = LogsService(
        settings=settings,
        db=db,
        sealer=sealer,
        clock=clock or SystemClock(),
        registry=registry,
        trail=trail,
        masker=masker,
    )

    async def probe() -> Mapping[str, Any]:
        return await service.health()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with service.opened():
            yield

    return Capability(
        name="logs",
        routes=(routes(service),),
        dispatchers=(LogsDispatcher(service),),
        commands="runstead.capabilities.logs.cli:app",
        migrations=MIGRATIONS,
        services={"logs": service, "intake": service.intake},
        personal=LogsPersonalData(db),
        checks=(HealthCheck(name="logs", probe=probe, critical=False),),
        lifespan=lifespan,
    )
