"""Puts the capability together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from runstead.capabilities.records.access import Access
from runstead.capabilities.records.figures import Figures
from runstead.capabilities.records.http import RecordsDispatcher
from runstead.capabilities.records.keys import Layout
from runstead.capabilities.records.results import ResultRecorder
from runstead.capabilities.records.service import RecordsService
from runstead.capabilities.records.settings import RecordsSettings
from runstead.kernel.capability import Capability, HealthCheck
from runstead.kernel.clock import Clock, SystemClock
from runstead.platform.storage.objects import Objects


def capability(
    *,
    settings: RecordsSettings,
    objects: Objects,
    loopback: bool,
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
) -> Capability:
    """Put the capability together. No I/O.

    Its services: ``records`` is the :class:`RecordsService`; ``results`` the :class:`ResultRecorder`, whose ``handle`` takes the
    outbox's ``jobs.finished`` and ``endpoints.finished``.

    :param loopback: the server listens on loopback addresses only, so that ``auth_mode = "none"`` may mean everyone.
    :param registry: where the figures go that a monitoring system reads.
    """
    service = RecordsService(
        objects=objects,
        layout=Layout(settings.prefix),
        clock=clock or SystemClock(),
        figures=Figures(registry),
    )
    access = Access(mode=settings.auth_mode, token=settings.ingest_token, loopback=loopback)

    async def probe() -> Mapping[str, Any]:
        return await service.check()

    return Capability(
        name="records",
        dispatchers=(RecordsDispatcher(service, access),),
        commands="runstead.capabilities.records.cli:app",
        services={
            "records": service,
            "results": ResultRecorder(service, organization=settings.organization, project=settings.project),
        },
        checks=(HealthCheck(name="records", probe=probe),),
        lifespan=service.opened,
    )
