"""What happens to apps when the server starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from runstead.capabilities.apps.events import Timers
from runstead.capabilities.apps.folders import FolderApp, read_folders
from runstead.capabilities.apps.invoking import Invoker, reason
from runstead.capabilities.apps.model import App
from runstead.capabilities.apps.stage import Serving, Stage
from runstead.capabilities.apps.store import AppStore
from runstead.kernel.clock import Clock
from runstead.kernel.errors import RunsteadError

#: Seconds before an init that failed at the start is tried again; doubled each time up to the maximum.
RETRY_SECONDS: Final = 2.0
RETRY_SECONDS_MAX: Final = 300.0
#: Inits at once. More would only wait for workers, and push requests back.
INITS_AT_ONCE: Final = 8

#: Puts the app of a folder into service, if it is not in service as it stands there.
Upsert = Callable[[FolderApp], Awaitable[None]]

_log = structlog.get_logger("apps")


class Starter:
    """Brings every app into service; one that fails stops nobody else and is tried again, at growing intervals, for ever."""

    def __init__(
        self,
        *,
        store: AppStore,
        stage: Stage,
        invoker: Invoker,
        timers: Timers,
        clock: Clock,
        changing: asyncio.Lock,
    ) -> None:
        self._store = store
        self._stage = stage
        self._invoker = invoker
        self._timers = timers
        self._clock = clock
        self._changing = changing
        self._retries: dict[str, asyncio.Task[None]] = {}
        #: App → why it does not serve although it should.
        self.failed: dict[str, str] = {}

    @asynccontextmanager
    async def opened(self, folders: Sequence[Path], upsert: Upsert) -> AsyncIterator[None]:
        """The folders' apps first: what stands there may be newer than what was kept."""
        try:
            for found in await asyncio.to_thread(lambda: list(read_folders(folders))):
                await self._from_folder(found, upsert)
            await self._resume()
            yield
        finally:
            for task in self._retries.values():
                task.cancel()
            await asyncio.gather(*self._retries.values(), return_exceptions=True)

    def forget(self, app_id: str) -> None:
        """It serves now, or is gone."""
        self.failed.pop(app_id, None)
        if (task := self._retries.pop(app_id, None)) is not None and task is not asyncio.current_task():
            task.cancel()

    async def _from_folder(self, found: FolderApp, upsert: Upsert) -> None:
        if not found.problem:
            try:
                await upsert(found)
            except RunsteadError as error:
                found = FolderApp(found.app_id, problem=error.message)
        if found.problem:
            self.failed[found.app_id] = found.problem
            _log.error("built-in app failed", app_id=found.app_id, error=found.problem)

    async def _resume(self) -> None:
        apps = [
            app for app in await self._store.all() if app.serving is not None and app.id not in self._stage
        ]
        gate = asyncio.Semaphore(INITS_AT_ONCE)

        async def init(app: App) -> Serving | None:
            async with gate:
                return await self._init(app)

        async with self._changing:
            ready = [serving for serving in await asyncio.gather(*map(init, apps)) if serving is not None]
            refused = self._stage.put_all(ready)
            for app_id, error in refused.items():
                self._failed(app_id, error)
            for serving in ready:
                if serving.app_id not in refused:
                    await self._timers.replace(serving.app_id, serving.registered.timers, is_startup=True)

    async def _init(self, app: App) -> Serving | None:
        try:
            version = await self._store.version(app.id, app.serving or 0)
            if version is None:
                return None
            return await self._invoker.init(app, version, is_startup=True)
        except RunsteadError as error:
            self._failed(app.id, error)
            return None

    def _failed(self, app_id: str, error: RunsteadError) -> None:
        self.failed[app_id] = reason(error)
        _log.error("app failed at start", app_id=app_id, error=reason(error))
        if app_id not in self._retries:
            self._retries[app_id] = asyncio.create_task(self._retry(app_id))

    async def _retry(self, app_id: str) -> None:
        pause = RETRY_SECONDS
        while app_id not in self._stage:
            await self._clock.sleep(pause)
            pause = min(pause * 2, RETRY_SECONDS_MAX)
            async with self._changing:
                app = await self._store.get(app_id)
                if app is None or app.serving is None or app_id in self._stage:
                    break
                serving = await self._init(app)
                if serving is None:
                    continue
                try:
                    self._stage.put(serving)
                    await self._timers.replace(app_id, serving.registered.timers, is_startup=True)
                except RunsteadError as error:
                    self._failed(app_id, error)
        self.forget(app_id)
