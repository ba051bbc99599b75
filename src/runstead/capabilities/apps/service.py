"""The use cases: take a new version, initialise it, serve it, go on serving the old one when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from runstead.capabilities.apps.errors import AppInitError, AppNotFoundError
from runstead.capabilities.apps.model import App, Route, Version, VersionStatus, is_app_id
from runstead.capabilities.apps.ports import LogSink
from runstead.capabilities.apps.registration import routes_of
from runstead.capabilities.apps.routes import Match, OtherMethods, RouteTable
from runstead.capabilities.apps.settings import AppsSettings
from runstead.capabilities.apps.store import AppStore
from runstead.kernel.clock import Clock, rfc3339
from runstead.kernel.errors import BadRequestError, RunsteadError, TooLargeError, UnavailableError
from runstead.platform.execution.script import (
    Invocation,
    Outcome,
    Program,
    ScriptError,
    ScriptLimits,
    ScriptPool,
)

#: Seconds before an init that failed is tried again; doubled each time, and given up after the last.
INIT_RETRY_SECONDS: Final = (2.0, 4.0, 8.0, 16.0, 32.0)
#: Names under which a folder's source may stand.
SOURCE_NAMES: Final = ("app.js", "main.js", "index.js")
#: Who wrote the versions that come from folders.
FOLDER_AUTHOR: Final = "folder"

_log = structlog.get_logger("apps")


@dataclass(frozen=True, slots=True)
class Serving:
    """A version that serves."""

    app_id: str
    version: int
    program: Program
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What a route leads to."""

    serving: Serving
    route: Route


class AppsService:
    """Hosts apps.

    Guarantee: what serves at any moment is a version whose ``init`` succeeded; a version that fails changes nothing but its own
    status; routes of all apps change as one. Writes are taken one at a time, so that two uploads cannot both win a route.
    """

    def __init__(
        self,
        *,
        settings: AppsSettings,
        store: AppStore,
        pool: ScriptPool,
        logs: LogSink,
        clock: Clock,
        profile: str,
    ) -> None:
        self.settings = settings
        self.is_development = profile == "dev"
        self._store = store
        self._pool = pool
        self._logs = logs
        self._clock = clock
        self._serving: dict[str, Serving] = {}
        self._table: RouteTable[Target] = RouteTable(())
        self._changing = asyncio.Lock()
        self._retries: set[asyncio.Task[None]] = set()
        self.failed: dict[str, str] = {}
        self._limits = ScriptLimits(
            script_seconds=settings.script_timeout_ms / 1000,
            heap_bytes=settings.heap_bytes,
            stack_bytes=settings.stack_bytes,
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Initialise every app; one that fails is retried in the background and stops nobody else."""
        for folder in self.settings.folders:
            await self._load_folder(folder)
        for app in await self._store.all():
            if app.id not in self._serving and app.serving is not None:
                await self._resume(app)
        try:
            yield
        finally:
            for task in self._retries:
                task.cancel()
            await asyncio.gather(*self._retries, return_exceptions=True)

    async def _load_folder(self, folder: Path) -> None:
        def read() -> list[tuple[str, str]]:
            found = []
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                source = next((path / name for name in SOURCE_NAMES if (path / name).is_file()), None)
                if source is not None:
                    found.append((path.name, source.read_text()))
            return found

        for app_id, source in await asyncio.to_thread(read):
            try:
                await self._load_builtin(app_id, source)
            except RunsteadError as error:
                self.failed[app_id] = error.message
                _log.error("a built-in app failed", app_id=app_id, error=error.message)

    async def _load_builtin(self, app_id: str, source: str) -> None:
        app = await self._store.get(app_id) if is_app_id(app_id) else None
        newest = await self._store.version(app_id, app.newest) if app else None
        if (
            newest is not None
            and newest.digest == Program.of(app_id, source).digest
            and newest.status is VersionStatus.READY
        ):
            return
        await self.put(app_id, source, author=FOLDER_AUTHOR, message=f"from folder {app_id}", privileged=True)

    async def _resume(self, app: App) -> None:
        version = await self._store.version(app.id, app.serving or 0)
        if version is None:
            return
        try:
            await self._serve(app, version)
        except RunsteadError as error:
            self.failed[app.id] = error.message
            _log.error("an app failed at start", app_id=app.id, error=error.message)
            task = asyncio.create_task(self._retry(app.id))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)

    async def _retry(self, app_id: str) -> None:
        for seconds in INIT_RETRY_SECONDS:
            await self._clock.sleep(seconds)
            app = await self._store.get(app_id)
            version = await self._store.version(app_id, app.serving) if app and app.serving else None
            if app is None or version is None or app_id in self._serving:
                return
            with suppress(RunsteadError):
                await self._serve(app, version)
                self.failed.pop(app_id, None)
                return

    async def check(self, source: str) -> None:
        """Parse only.

        :raises ScriptSyntaxError: says where.
        :raises TooLargeError: more than ``apps.script_max_bytes``.
        """
        size = len(source.encode())
        if size > self.settings.script_max_bytes:
            raise TooLargeError(
                f"the source has {size} bytes; {self.settings.script_max_bytes} are allowed (apps.script_max_bytes)"
            )
        await self._pool.run(Program.of("app.js", source), Invocation(kind="check", limits=self._limits))

    async def put(
        self, app_id: str, source: str, *, author: str, message: str = "", privileged: bool | None = None
    ) -> tuple[App, Version, Sequence[Route]]:
        """Take a new version, initialise it and serve it.

        :param privileged: None leaves it as it is.
        :raises BadRequestError: the id is malformed.
        :raises ScriptSyntaxError: the source does not parse; nothing is kept.
        :raises AppInitError: its init failed; the version is kept as failed, the one before goes on serving.
        """
        if not is_app_id(app_id):
            raise BadRequestError(
                "an app id is made of a-z, 0-9, - and _, with slashes between parts, 128 characters at most",
                details={"field": "id"},
            )
        await self.check(source)
        async with self._changing:
            app, version = await self._store.add_version(
                app_id,
                source=source,
                digest=Program.of(app_id, source).digest,
                author=author,
                message=message,
                at=self._clock.now(),
                privileged=privileged,
            )
            try:
                routes = await self._activate(app, version)
            except RunsteadError as error:
                reason = _reason(error)
                await self._store.settle(app_id, version.number, VersionStatus.FAILED, reason)
                raise AppInitError(
                    f"version {version.number} of {app_id} was not put into service: {reason}",
                    details={
                        "version": version.number,
                        "error": reason,
                        "stack": getattr(error, "stack", ""),
                    },
                ) from error
            await self._store.settle(app_id, version.number, VersionStatus.READY)
            self.failed.pop(app_id, None)
        return await self.get(app_id), await self.version(app_id, version.number), routes

    async def _serve(self, app: App, version: Version) -> None:
        async with self._changing:
            await self._activate(app, version)

    async def _activate(self, app: App, version: Version) -> tuple[Route, ...]:
        """Run init, build the new table, swap. The caller holds the lock."""
        program = Program.of(f"{app.id}.js", version.source)
        argument = {
            "scriptName": app.id,
            "version": version.number,
            "registeredAt": rfc3339(version.created_at),
            "isStartup": app.id not in self._serving,
        }
        outcome = await self._invoke(
            app.id, program, Invocation(kind="init", argument=argument, limits=self._limits), ""
        )
        routes = routes_of(outcome.registrations)
        serving = {
            **self._serving,
            app.id: Serving(app.id, version.number, program, routes if app.privileged else ()),
        }
        self._table = _table_of(serving)
        self._serving = serving
        return routes

    async def call(self, target: Target, request: Mapping[str, Any], *, request_id: str) -> Outcome:
        """Call the handler of a route.

        :raises ScriptError: it threw.
        """
        argument = {"request": request, "kind": "httpRoute", "invocationId": request_id, "args": {}}
        invocation = Invocation(
            kind="call", function=target.route.handler, argument=argument, limits=self._limits
        )
        return await self._invoke(target.serving.app_id, target.serving.program, invocation, request_id)

    async def _invoke(
        self, app_id: str, program: Program, invocation: Invocation, request_id: str
    ) -> Outcome:
        console: Sequence[tuple[str, str]] = ()
        try:
            outcome = await self._pool.run(
                program, invocation, wait_seconds=self.settings.request_timeout_ms / 1000
            )
            console = outcome.console
        except RunsteadError as error:
            console = [*getattr(error, "console", ()), ("error", _told(error))]
            raise
        finally:
            for level, text in console:
                self._logs.emit(
                    source=f"app:{app_id}"[:64],
                    level=level,
                    message=text,
                    at=self._clock.now(),
                    request_id=request_id,
                    context={"app": app_id},
                )
        return outcome

    def match(self, method: str, path: str) -> Match[Target] | OtherMethods | None:
        """The route of a request, if an app has one."""
        return self._table.match(method, path)

    def routes(self) -> list[tuple[str, Route]]:
        """``(app, route)`` of all that is served."""
        return [(entry.owner, entry.target.route) for _, entry in self._table.entries]

    async def list(self) -> list[App]:
        return await self._store.all()

    async def get(self, app_id: str) -> App:
        """:raises AppNotFoundError: there is none."""
        app = await self._store.get(app_id)
        if app is None:
            raise AppNotFoundError(f"there is no app {app_id[:128]!r}")
        return app

    async def version(self, app_id: str, number: int) -> Version:
        """:raises AppNotFoundError: there is none."""
        version = await self._store.version(app_id, number)
        if version is None:
            raise AppNotFoundError(f"there is no version {number} of {app_id[:128]!r}")
        return version

    async def versions(self, app_id: str) -> Sequence[Version]:
        """Newest first."""
        await self.get(app_id)
        return await self._store.versions(app_id)

    async def set_privileged(self, app_id: str, privileged: bool) -> App:
        """Let an app serve public routes, or stop it from doing so."""
        app = await self.get(app_id)
        await self._store.set_privileged(app_id, privileged)
        app = await self.get(app_id)
        if app.serving is not None:
            try:
                await self._serve(app, await self.version(app_id, app.serving))
            except RunsteadError as error:
                await self._store.set_privileged(app_id, not privileged)
                raise AppInitError(f"{app_id} could not be put into service: {_reason(error)}") from error
        return app

    async def delete(self, app_id: str) -> None:
        """Stop serving an app and remove it with all its versions."""
        async with self._changing:
            if not await self._store.delete(app_id):
                raise AppNotFoundError(f"there is no app {app_id[:128]!r}")
            serving = {key: value for key, value in self._serving.items() if key != app_id}
            self._table, self._serving = _table_of(serving), serving
            self.failed.pop(app_id, None)

    def figures(self) -> Mapping[str, Any]:
        """For the health page.

        :raises UnavailableError: an app does not serve although it should.
        """
        if self.failed:
            raise UnavailableError(f"not serving: {', '.join(sorted(self.failed))}")
        return {
            "apps": len(self._serving),
            "routes": len(self._table.entries),
            "sealed": self._pool.sealed,
            **self._pool.figures(),
        }


def _table_of(serving: Mapping[str, Serving]) -> RouteTable[Target]:
    return RouteTable(
        (one.app_id, route.method, route.path, Target(one, route))
        for one in serving.values()
        for route in one.routes
    )


def _reason(error: RunsteadError) -> str:
    return f"{error.name}: {error.text}" if isinstance(error, ScriptError) else error.message


def _told(error: RunsteadError) -> str:
    return f"{_reason(error)}\n{error.stack}" if isinstance(error, ScriptError) else _reason(error)
