"""Puts the parts of the capability together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from runstead.capabilities.apps.assets import AssetCalls, AssetStore
from runstead.capabilities.apps.basics import BasicCalls
from runstead.capabilities.apps.console import AppConsole
from runstead.capabilities.apps.converting import Converting
from runstead.capabilities.apps.database import AppDatabases, DatabaseCalls, app_databases
from runstead.capabilities.apps.events import MessageCalls, Messages, TimerCalls, Timers, Webhooks
from runstead.capabilities.apps.fetching import Fetching
from runstead.capabilities.apps.graphql import graphql_calls
from runstead.capabilities.apps.hostcalls import HostApi
from runstead.capabilities.apps.invoking import Invoker
from runstead.capabilities.apps.ports import LogSink, Masker, Secrets
from runstead.capabilities.apps.responding import ResponseCalls
from runstead.capabilities.apps.service import AppsService
from runstead.capabilities.apps.settings import AppsSettings
from runstead.capabilities.apps.stage import Stage
from runstead.capabilities.apps.storage import AppStorage
from runstead.capabilities.apps.store import AppStore
from runstead.capabilities.apps.streams import StreamCalls, StreamHub
from runstead.capabilities.apps.uploads import UploadCalls
from runstead.kernel.clock import Clock
from runstead.platform.egress import Egress
from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the capability consists of."""

    service: AppsService
    console: AppConsole
    streams: StreamHub
    assets: AssetStore
    timers: Timers
    webhooks: Webhooks
    messages: Messages
    converting: Converting
    databases: AppDatabases | None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Serve, and let the clock and the webhooks run, while the context is open."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.converting.opened())
            if self.databases is not None:
                stack.push_async_callback(self.databases.close)
            await stack.enter_async_context(self.service.opened())
            stack.push_async_callback(self.messages.close)
            await stack.enter_async_context(self.webhooks.opened())
            await stack.enter_async_context(self.timers.opened())
            yield


def build(
    *,
    settings: AppsSettings,
    db: Database,
    store: AppStore,
    pool: ScriptPool,
    egress: Egress,
    logs: LogSink,
    clock: Clock,
    secrets: Secrets | None,
    masker: Masker | None,
    data_dir: Path | None,
    database_url: str,
) -> Parts:
    """Connect them. No I/O."""
    assets = AssetStore(db, bytes_max=settings.asset_bytes, clock=clock)
    streams = StreamHub(connections_max=settings.stream_connections_max)
    converting = Converting(pool.sibling("convert"))
    databases = None
    if data_dir is not None:
        databases = app_databases(
            database_url or db.url, data_dir / "apps", settings.database, secrets=secrets
        )
    basics = BasicCalls(
        storage=AppStorage(db, bytes_max=settings.storage_bytes, clock=clock),
        owner_of=store.owner_of,
        secrets=secrets,
        fetching=Fetching(
            egress, secrets=secrets, masker=masker, seconds_max=settings.fetch.timeout_ms / 1000
        ),
    )
    timer_calls, message_calls = TimerCalls(), MessageCalls()
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
    console = AppConsole(logs, clock)
    invoker = Invoker(settings=settings, pool=pool, host=host, console=console)
    stage = Stage()
    timers = Timers(db, clock, stage.get, invoker.invoke)
    webhooks = Webhooks(db, egress, secrets=secrets, clock=clock, back_off=settings.webhook_back_off_seconds)
    messages = Messages(stage.all, invoker.invoke, webhooks)
    timer_calls.timers, message_calls.messages = timers, messages
    service = AppsService(
        settings=settings, store=store, stage=stage, pool=pool, invoker=invoker, assets=assets, timers=timers,
        databases=databases, streams=streams, clock=clock,
    )  # fmt: skip
    return Parts(
        service=service, console=console, streams=streams, assets=assets, timers=timers, webhooks=webhooks, messages=messages,
        converting=converting, databases=databases,
    )  # fmt: skip
