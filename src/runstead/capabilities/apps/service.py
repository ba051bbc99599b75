"""The use cases: take a new version, initialise it, serve it, go on serving the old one when it fails."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import msgspec

from runstead.capabilities.apps.assets import AssetStore
from runstead.capabilities.apps.assets.store import manifest_of
from runstead.capabilities.apps.database import AppDatabases
from runstead.capabilities.apps.database.export import exported
from runstead.capabilities.apps.errors import (
    AppInitError,
    AppNotFoundError,
    RouteConflictError,
    VersionConflictError,
)
from runstead.capabilities.apps.events import Timers
from runstead.capabilities.apps.folders import FolderApp
from runstead.capabilities.apps.hostcalls import Caller
from runstead.capabilities.apps.invoking import Invoker, frames_of, reason
from runstead.capabilities.apps.model import (
    App,
    Put,
    Registered,
    Route,
    Uploaded,
    Version,
    VersionStatus,
    is_app_id,
)
from runstead.capabilities.apps.routes import Match, OtherMethods
from runstead.capabilities.apps.settings import AppsSettings
from runstead.capabilities.apps.sources import Compiled, Compiler, is_module
from runstead.capabilities.apps.sources.manifest import NAME as MANIFEST
from runstead.capabilities.apps.stage import Serving, Stage, Target
from runstead.capabilities.apps.starting import Starter
from runstead.capabilities.apps.store import AppStore, Written, digest_of
from runstead.capabilities.apps.streams import StreamHub
from runstead.capabilities.apps.trying import Trials
from runstead.kernel.clock import Clock
from runstead.kernel.errors import BadRequestError, RunsteadError, TooLargeError, UnavailableError
from runstead.platform.execution.script import Outcome, ScriptPool

#: Files that programs import.
SOURCE_ENDINGS: Final = (".js", ".mjs", ".ts", ".tsx", ".jsx", ".json")
#: Who wrote the versions that come from folders.
FOLDER_AUTHOR: Final = "folder"


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
        stage: Stage,
        pool: ScriptPool,
        invoker: Invoker,
        assets: AssetStore,
        timers: Timers,
        databases: AppDatabases | None,
        streams: StreamHub,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self._store = store
        self._pool = pool
        self.assets = assets
        self._compiler = Compiler()
        self.trials = Trials(
            store=store, stage=stage, invoker=invoker, assets=assets, compiler=self._compiler
        )
        self._clock = clock
        self._stage = stage
        self._changing = asyncio.Lock()
        self._timers = timers
        self._databases = databases
        self._streams = streams
        self._invoker = invoker
        self._starter = Starter(
            store=store, stage=stage, invoker=invoker, timers=timers, clock=clock, changing=self._changing
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Initialise every app; one that fails is retried in the background and stops nobody else."""
        async with self._starter.opened(self.settings.folders, self.upsert):
            yield

    async def compile(self, app_id: str, upload: Uploaded) -> Compiled:
        """Make a program and parse it; nothing is run or kept.

        :raises ScriptSyntaxError: says where.
        :raises UnprocessableError: an import leads nowhere, or TypeScript is not valid.
        :raises TooLargeError: more than ``apps.script_max_bytes``.
        """
        if (size := len(upload.source.encode("utf-8", "replace"))) > self.settings.script_max_bytes:
            raise TooLargeError(
                f"the source has {size} bytes; {self.settings.script_max_bytes} are allowed (apps.script_max_bytes)",
                details={"bytes_max": self.settings.script_max_bytes},
            )
        files = {
            name: content.decode("utf-8", "replace")
            for name, content in upload.files.items()
            if name.endswith(SOURCE_ENDINGS)
        }
        if MANIFEST not in files and (kept := await self.assets.find(app_id, MANIFEST)) is not None:
            files |= await self.assets.texts(app_id, {MANIFEST: kept.digest})
        if is_module(upload.source):
            sources = [one for one in await self.assets.list(app_id) if one.name.endswith(SOURCE_ENDINGS)]
            files = {**await self.assets.texts(app_id, manifest_of(sources)), **files}
        compiled = await self._compiler.compile(upload.main, upload.source, files)
        await self._invoker.check(app_id, upload.main, compiled)
        return compiled

    async def check(self, app_id: str, upload: Uploaded) -> Registered:
        """What a version would register: it is parsed and its ``init`` is run, and nothing stays of it.

        :raises AppInitError: its init fails.
        """
        compiled = await self.compile(app_id, upload)
        now = self._clock.now()
        app = App(id=app_id, owner="", privileged=False, created_at=now, serving=None, newest=0)
        version = Version(
            number=0, source=upload.source, digest="", author="", message="", created_at=now, status=VersionStatus.NEW,
            main=upload.main, compiled=_kept(upload, compiled),
        )  # fmt: skip
        try:
            serving = await self._invoker.init(app, version, is_startup=False, dry=True)
            self._stage.prepare(replace(serving, privileged=True))
        except RunsteadError as error:
            if isinstance(error, RouteConflictError | UnavailableError):
                raise
            raise _init_error(app, version, error) from error
        return serving.registered

    async def put(
        self,
        app_id: str,
        upload: Uploaded,
        *,
        author: str,
        message: str = "",
        privileged: bool | None = None,
        expected: int | None = None,
    ) -> Put:
        """Take a new version, initialise it and serve it.

        :param privileged: None leaves it as it is.
        :param expected: the version that has to be the newest, or nothing is changed.
        :raises BadRequestError: the id is malformed.
        :raises VersionConflictError: another version is the newest.
        :raises ScriptSyntaxError: the source does not parse; nothing is kept.
        :raises AppInitError: its init failed; the version is kept as failed, the one before goes on serving.
        :raises RouteConflictError: another app serves one of its routes; kept as failed too.
        """
        if not is_app_id(app_id):
            raise BadRequestError(
                "an app id is made of a-z, 0-9, - and _ in parts with slashes between them, 128 characters at most",
                details={"field": "id"},
            )
        compiled = await self.compile(app_id, upload)
        async with self._changing:
            try:
                app, version = await self._store.add_version(
                    app_id,
                    Written(
                        source=upload.source,
                        main=upload.main,
                        files={name: digest_of(content) for name, content in upload.files.items()},
                        tags=upload.tags,
                        compiled=_kept(upload, compiled),
                    ),
                    author=author,
                    message=message,
                    at=self._clock.now(),
                    expected=expected,
                )
            except VersionConflictError as error:
                raise await self._with_both(app_id, error) from None
            for name, content in upload.files.items():
                await self.assets.put(app_id, name, content, author=author)
            serving = await self._activate(app, version, privileged)
        return Put(
            app=await self.get(app_id),
            version=await self.version(app_id, version.number),
            registered=serving.registered,
        )

    async def _with_both(self, app_id: str, error: VersionConflictError) -> VersionConflictError:
        """Who lost a race sees what it expected and what there is."""
        both = {"expected": error.expected, "current": error.current}
        found = {name: await self._store.version(app_id, number) for name, number in both.items()}
        error.details = {
            name: None if version is None else {**version.as_json(), "source": version.source}
            for name, version in found.items()
        }
        return error

    async def rollback(self, app_id: str, number: int, *, author: str) -> Put:
        """Serve an earlier source again, as a new version: what was is never changed.

        :raises AppNotFoundError: there is no such version.
        """
        version = await self.version((await self.get(app_id)).id, number)
        files = {name: await self.assets.content(app_id, digest) for name, digest in version.files.items()}
        upload = Uploaded(source=version.source, main=version.main, files=files)
        return await self.put(app_id, upload, author=author, message=f"as it was in version {number}")

    async def diff(self, app_id: str, before: int, after: int) -> str:
        """What changed between two versions, as a unified diff."""
        old, new = [
            (await self.version(app_id, number)).source.splitlines(True) for number in (before, after)
        ]
        names = (f"{app_id}.js version {before}", f"{app_id}.js version {after}")
        return await asyncio.to_thread(lambda: "".join(difflib.unified_diff(old, new, *names)))

    async def _activate(self, app: App, version: Version, privileged: bool | None = None) -> Serving:
        """Run init, swap the routes, write down what became of it. The caller holds the lock."""
        privileged = app.privileged if privileged is None else privileged
        try:
            serving = await self._invoker.init(replace(app, privileged=privileged), version, is_startup=False)
            swap = self._stage.prepare(serving)
        except RunsteadError as error:
            await self._store.failed(app.id, version.number, reason(error))
            if isinstance(error, RouteConflictError | UnavailableError):
                raise
            raise _init_error(app, version, error) from error
        await self._store.ready(app.id, version.number, privileged=privileged)
        swap()
        await self._timers.replace(app.id, serving.registered.timers, is_startup=False)
        self._starter.forget(app.id)
        return serving

    async def upsert(self, found: FolderApp) -> None:
        """Put the app of a folder into service, if it is not in service as it stands there."""
        app = await self._store.get(found.app_id)
        newest = await self._store.version(found.app_id, app.newest) if app else None
        upload = Uploaded(source=found.source, main=found.main, files=found.files)
        digests = {name: digest_of(content) for name, content in found.files.items()}
        is_new = newest is None or (newest.digest, newest.main, newest.files) != (
            digest_of(found.source),
            found.main,
            digests,
        )
        if app is None or newest is None or is_new:
            await self.put(
                found.app_id, upload, author=FOLDER_AUTHOR, message="from its folder", privileged=True
            )
        elif newest.status is not VersionStatus.READY:
            # The same source that failed before: perhaps it was not its fault. No new version for that.
            async with self._changing:
                await self._activate(app, newest, privileged=True)

    async def call(
        self, target: Target, request: Mapping[str, Any], caller: Caller, **options: Any
    ) -> Outcome:
        """Call the handler of a route; see :meth:`Invoker.call`.

        :raises ScriptError: it failed.
        """
        return await self._invoker.call(target, request, caller, **options)

    def note(self, target: Target, level: str, text: str, *, request_id: str) -> None:
        """Write a line of ours into the log of an app."""
        self._invoker.log(target.serving.app_id, [(level, text)], request_id)

    def match(
        self, method: str, path: str, raw_path: bytes | None = None
    ) -> Match[Target] | OtherMethods | None:
        """The route of a request, if an app has one."""
        return self._stage.match(method, path, raw_path)

    def routes(self) -> Iterable[tuple[str, Route]]:
        """``(app, route)`` of all that is served."""
        return self._stage.routes()

    async def routes_of(self, app_id: str) -> Serving | None:
        """What an app has registered; None when it does not serve.

        :raises AppNotFoundError: there is no such app.
        """
        app = await self.get(app_id)
        return self._stage.get(app.id)

    async def list(self) -> Sequence[App]:
        return await self._store.all()

    async def find(self, app_id: str) -> App | None:
        """An app, or None."""
        return await self._store.get(app_id)

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
        """Newest first, without their sources."""
        await self.get(app_id)
        return await self._store.versions(app_id)

    async def set_privileged(self, app_id: str, privileged: bool) -> App:
        """Let an app serve public routes, or stop it from doing so.

        :raises RouteConflictError: another app serves one of its routes; nothing has changed.
        """
        async with self._changing:
            await self.get(app_id)
            serving = self._stage.get(app_id)
            swap = self._stage.prepare(replace(serving, privileged=privileged)) if serving else None
            await self._store.set_privileged(app_id, privileged)
            if swap is not None:
                swap()
            return await self.get(app_id)

    async def set_owner(self, app_id: str, owner: str) -> App:
        """Give an app to somebody else, or to a group."""
        if not await self._store.set_owner(app_id, owner):
            raise AppNotFoundError(f"there is no app {app_id[:128]!r}")
        return await self.get(app_id)

    async def delete(self, app_id: str) -> None:
        """Stop serving an app and remove it with all its versions."""
        async with self._changing:
            if not await self._store.delete(app_id):
                raise AppNotFoundError(f"there is no app {app_id[:128]!r}")
            self._stage.remove(app_id)
            self._streams.remove(app_id)
            self._starter.forget(app_id)
            if self._databases is not None:
                await self._databases.remove(app_id)

    def database_lines(self, app_id: str) -> AsyncIterator[bytes]:
        """All that is in the database of an app, as lines of JSON.

        :raises UnavailableError: apps have no databases here.
        """
        if self._databases is None:
            raise UnavailableError("apps have no databases here")
        return exported(self._databases, app_id)

    def figures(self) -> Mapping[str, Any]:
        """For the health page.

        :raises UnavailableError: an app does not serve although it should.
        """
        if failed := self._starter.failed:
            raise UnavailableError(f"not serving: {', '.join(sorted(failed))}")
        return {
            "apps": len(self._stage),
            "routes": len(list(self._stage.routes())),
            "sealed": self._pool.sealed,
            **self._pool.figures(),
        }


def _kept(upload: Uploaded, compiled: Compiled) -> str | None:
    """As it is stored; nothing where the source is what the engine gets."""
    if compiled == Compiled(source=upload.source):
        return None
    return msgspec.json.encode(compiled).decode()


def _init_error(app: App, version: Version, error: RunsteadError) -> AppInitError:
    return AppInitError(
        f"version {version.number} of {app.id} was not put into service: {reason(error)}",
        details={
            "version": version.number,
            "error": reason(error),
            "code": error.code,
            "stack": list(frames_of(error)),
        },
    )
