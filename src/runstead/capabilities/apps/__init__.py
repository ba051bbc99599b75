"""Web apps in JavaScript: versions, routes, each request in a context of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from runstead.capabilities.apps.assets import AssetCalls, AssetStore
from runstead.capabilities.apps.basics import BasicCalls
from runstead.capabilities.apps.console import AppConsole
from runstead.capabilities.apps.converting import Converting
from runstead.capabilities.apps.database import DatabaseCalls, app_databases
from runstead.capabilities.apps.dispatcher import AppsDispatcher
from runstead.capabilities.apps.events import MessageCalls, Messages, TimerCalls, Timers, Webhooks
from runstead.capabilities.apps.fetching import Fetching
from runstead.capabilities.apps.graphql import graphql_calls
from runstead.capabilities.apps.hostcalls import HostApi
from runstead.capabilities.apps.http import routes
from runstead.capabilities.apps.http_files import file_routes
from runstead.capabilities.apps.http_running import running_routes
from runstead.capabilities.apps.invoking import Invoker
from runstead.capabilities.apps.model import App, Route, Version, VersionStatus
from runstead.capabilities.apps.ports import LogSink, Masker, NoLogs, Release, Secrets
from runstead.capabilities.apps.privacy import AppsPersonalData
from runstead.capabilities.apps.responding import ResponseCalls
from runstead.capabilities.apps.service import AppsService
from runstead.capabilities.apps.settings import SECTION, AppsSettings, FetchSettings
from runstead.capabilities.apps.stage import Stage
from runstead.capabilities.apps.storage import AppStorage
from runstead.capabilities.apps.store import AppStore
from runstead.capabilities.apps.streams import StreamCalls, StreamHub
from runstead.capabilities.apps.uploads import UploadCalls
from runstead.capabilities.apps.watching import watching
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
    fetch = settings.fetch
    egress = Egress(allow=fetch.allow_addresses, answer_bytes_max=fetch.response_max_bytes)
    store = AppStore(db, trail, release)
    assets = AssetStore(db, bytes_max=settings.asset_bytes, clock=clock)
    streams = StreamHub(connections_max=settings.stream_connections_max)
    converting = Converting(pool.sibling("convert"))
    timer_calls, message_calls = TimerCalls(), MessageCalls()
    databases = None
    if data_dir is not None:
        databases = app_databases(
            database_url or db.url, data_dir / "apps", settings.database, secrets=secrets
        )
    basics = BasicCalls(
        storage=AppStorage(db, bytes_max=settings.storage_bytes, clock=clock),
        owner_of=store.owner_of,
        secrets=secrets,
        fetching=Fetching(egress, secrets=secrets, masker=masker, seconds_max=fetch.timeout_ms / 1000),
    )
    host = HostApi(
        basics.calls(),
        StreamCalls(streams).calls(),
        ResponseCalls().calls(),
        UploadCalls().calls(),
        AssetCalls(assets).calls(),
        converting.calls(),
        timer_calls.calls(),
        message_calls.calls(),
        graphql_calls(),
        DatabaseCalls(databases).calls() if databases is not None else {},
    )
    console = AppConsole(logs or NoLogs(), clock)
    invoker = Invoker(settings=settings, pool=pool, host=host, console=console)
    stage = Stage()
    timers = Timers(db, clock, stage.get, invoker.invoke)
    webhooks = Webhooks(db, egress, secrets=secrets, clock=clock, back_off=settings.webhook_back_off_seconds)
    messages = Messages(stage.all, invoker.invoke, webhooks)
    timer_calls.timers, message_calls.messages = timers, messages
    service = AppsService(
        settings=settings,
        store=store,
        stage=stage,
        pool=pool,
        invoker=invoker,
        assets=assets,
        timers=timers,
        databases=databases,
        streams=streams,
        clock=clock,
    )

    async def probe() -> Mapping[str, Any]:
        return {**service.figures(), "stream_connections": streams.connections}

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(egress)
            await stack.enter_async_context(converting.opened())
            if databases is not None:
                stack.push_async_callback(databases.close)
            await stack.enter_async_context(service.opened())
            stack.push_async_callback(messages.close)
            await stack.enter_async_context(webhooks.opened())
            await stack.enter_async_context(timers.opened())
            if watch_seconds is not None:
                await stack.enter_async_context(watching(settings.folders, service.upsert, watch_seconds))
            yield

    return Capability(
        name="apps",
        routes=(
            routes(service),
            running_routes(service, console, webhooks, timers, streams),
            file_routes(service),
        ),
        dispatchers=(
            AppsDispatcher(service, streams=streams, assets=assets, is_development=profile == "dev"),
        ),
        commands="runstead.capabilities.apps.cli:app",
        migrations=MIGRATIONS,
        services={"apps": service},
        personal=AppsPersonalData(db),
        checks=(HealthCheck(name="apps", probe=probe, critical=False),),
        lifespan=lifespan,
    )
