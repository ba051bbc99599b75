"""Web apps in JavaScript: versions, routes, each request in a context of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from runstead.capabilities.apps.dispatcher import AppsDispatcher
from runstead.capabilities.apps.http import routes
from runstead.capabilities.apps.model import App, Route, Version, VersionStatus
from runstead.capabilities.apps.ports import LogSink, NoLogs, Release
from runstead.capabilities.apps.privacy import AppsPersonalData
from runstead.capabilities.apps.service import AppsService
from runstead.capabilities.apps.settings import SECTION, AppsSettings
from runstead.capabilities.apps.store import AppStore
from runstead.kernel.capability import Capability, HealthCheck
from runstead.kernel.clock import Clock, SystemClock
from runstead.kernel.trail import Trail
from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database

__all__ = [
    "MIGRATIONS",
    "SECTION",
    "App",
    "AppsService",
    "AppsSettings",
    "Route",
    "Version",
    "VersionStatus",
    "capability",
]

#: The folder of the Alembic revisions.
MIGRATIONS: Final = Path(__file__).parent / "migrations"


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
) -> Capability:
    """Put the capability together. No I/O.

    :param release: called where an app is removed, within the transaction: rights and secrets of its name end with it.
    :param profile: in ``dev`` callers see what a script threw, and where.
    """
    service = AppsService(
        settings=settings,
        store=AppStore(db, trail, release),
        pool=pool,
        logs=logs or NoLogs(),
        clock=clock or SystemClock(),
    )

    async def probe() -> Mapping[str, Any]:
        return service.figures()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with service.opened():
            yield

    return Capability(
        name="apps",
        routes=(routes(service),),
        dispatchers=(AppsDispatcher(service, is_development=profile == "dev"),),
        commands="runstead.capabilities.apps.cli:app",
        migrations=MIGRATIONS,
        services={"apps": service},
        personal=AppsPersonalData(db),
        checks=(HealthCheck(name="apps", probe=probe, critical=False),),
        lifespan=lifespan,
    )
