"""Puts the capability together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runstead.capabilities.apps import MIGRATIONS
from runstead.capabilities.apps.building import Parts, build
from runstead.capabilities.apps.dispatcher import AppsDispatcher
from runstead.capabilities.apps.http import routes
from runstead.capabilities.apps.http_files import file_routes
from runstead.capabilities.apps.http_running import running_routes
from runstead.capabilities.apps.ports import LogSink, Masker, NoLogs, Release, Secrets
from runstead.capabilities.apps.privacy import AppsPersonalData
from runstead.capabilities.apps.settings import AppsSettings
from runstead.capabilities.apps.store import AppStore
from runstead.capabilities.apps.watching import watching
from runstead.kernel.capability import Capability, HealthCheck
from runstead.kernel.clock import Clock, SystemClock
from runstead.kernel.trail import Trail
from runstead.platform.egress import Egress
from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database


def capability(
    *,
    settings: AppsSettings,
    db: Database,
    pool: ScriptPool,
    profile: str,
    logs: LogSink | None = None,
    clock: Clock | None = None,
    trail: Trail | None = None,
    release: Release | None = None,
    secrets: Secrets | None = None,
    masker: Masker | None = None,
    data_dir: Path | None = None,
    database_url: str = "",
    watch_seconds: float | None = None,
) -> Capability:
    """Put the capability together. No I/O.

    :param release: called where an app is removed, within the transaction: rights and secrets of its name end with it.
    :param secrets: what scripts may have put into their requests.
    :param masker: masks what comes back.
    :param data_dir: where databases of apps go; None: they have none.
    :param database_url: of the server's own, with its password.
    :param watch_seconds: how often folders of apps are looked at for changes; None: at the start only.
    :param profile: in ``dev`` callers see what a script threw, and where.
    """
    clock = clock or SystemClock()
    egress = Egress(allow=settings.fetch.allow_addresses, answer_bytes_max=settings.fetch.response_max_bytes)
    parts = build(
        settings=settings,
        db=db,
        store=AppStore(db, trail, release),
        pool=pool,
        egress=egress,
        logs=logs or NoLogs(),
        clock=clock,
        secrets=secrets,
        masker=masker,
        data_dir=data_dir,
        database_url=database_url,
    )
    service = parts.service

    async def probe() -> Mapping[str, Any]:
        return {**service.figures(), "stream_connections": parts.streams.connections}

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with egress, parts.opened():
            if watch_seconds is None:
                yield
                return
            async with watching(settings.folders, service.upsert, watch_seconds):
                yield

    return Capability(
        name="apps",
        routes=_routes(parts),
        dispatchers=(
            AppsDispatcher(
                service, streams=parts.streams, assets=parts.assets, is_development=profile == "dev"
            ),
        ),
        commands="runstead.capabilities.apps.cli:app",
        migrations=MIGRATIONS,
        services={"apps": service},
        personal=AppsPersonalData(db),
        checks=(HealthCheck(name="apps", probe=probe, critical=False),),
        lifespan=lifespan,
    )


def _routes(parts: Parts) -> tuple[Any, ...]:
    service = parts.service
    running = running_routes(service, parts.console, parts.webhooks, parts.timers, parts.streams)
    return routes(service), file_routes(service), running
