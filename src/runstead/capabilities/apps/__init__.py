"""Web apps in JavaScript: versions, routes, each request in a context of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from runstead.capabilities.apps.dispatcher import AppsDispatcher
from runstead.capabilities.apps.fetching import Fetching
from runstead.capabilities.apps.hostcalls import HostApi
from runstead.capabilities.apps.http import routes
from runstead.capabilities.apps.model import App, Route, Version, VersionStatus
from runstead.capabilities.apps.ports import LogSink, Masker, NoLogs, Release, Secrets
from runstead.capabilities.apps.privacy import AppsPersonalData
from runstead.capabilities.apps.service import AppsService
from runstead.capabilities.apps.settings import SECTION, AppsSettings, FetchSettings
from runstead.capabilities.apps.storage import AppStorage
from runstead.capabilities.apps.store import AppStore
from runstead.kernel.capability import Capability, HealthCheck
from runstead.kernel.clock import Clock, SystemClock
from runstead.kernel.trail import Trail
from runstead.platform.egress import Egress
from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database

__all__ = [
    "MIGRATIONS",
    "SECTION",
    "App",
    "AppsService",
    "AppsSettings",
    "FetchSettings",
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
    secrets: Secrets | None = None,
    masker: Masker | None = None,
) -> Capability:
    """Put the capability together. No I/O.

    :param release: called where an app is removed, within the transaction: rights and secrets of its name end with it.
    :param secrets: what scripts may have put into their requests.
    :param masker: masks what comes back.
    :param profile: in ``dev`` callers see what a script threw, and where.
    """
    clock = clock or SystemClock()
    fetch = settings.fetch
    egress = Egress(allow=fetch.allow_addresses, answer_bytes_max=fetch.response_max_bytes)
    store = AppStore(db, trail, release)
    host = HostApi(
        storage=AppStorage(db, bytes_max=settings.storage_bytes, clock=clock),
        owner_of=store.owner_of,
        secrets=secrets,
        fetching=Fetching(egress, secrets=secrets, masker=masker, seconds_max=fetch.timeout_ms / 1000),
    )
    service = AppsService(
        settings=settings, store=store, pool=pool, host=host, logs=logs or NoLogs(), clock=clock
    )

    async def probe() -> Mapping[str, Any]:
        return service.figures()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with egress, service.opened():
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
