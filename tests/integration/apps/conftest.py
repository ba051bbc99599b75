"""Apps behind the real application, with real workers; two of them for the whole module, since they are what takes time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from runstead.capabilities.apps import MIGRATIONS, AppsSettings, capability
from runstead.platform.execution.script import ScriptPool
from runstead.platform.storage.sql import Database, migrate
from runstead.testing.scenario import AS_ADMINISTRATOR, running


class Lines:
    """A log sink that keeps what it gets."""

    def __init__(self) -> None:
        self.emitted: list[dict[str, Any]] = []

    def emit(self, **line: Any) -> None:
        self.emitted.append(line)


class Host:
    """An open server with apps."""

    def __init__(self, client: httpx.AsyncClient, pool: ScriptPool, sink: Lines) -> None:
        self.client = client
        self.pool = pool
        self.sink = sink

    async def put(self, app_id: str, source: str, *, privileged: bool | None = True) -> httpx.Response:
        params = {} if privileged is None else {"privileged": str(privileged).lower()}
        return await self.client.put(
            f"/api/apps/{app_id}",
            params=params,
            content=source.encode(),
            headers={**AS_ADMINISTRATOR, "Content-Type": "text/javascript"},
        )

    async def serve(self, handlers: str, *routes: str, app_id: str = "app") -> None:
        """Put an app into service; a route is ``METHOD path handler``."""
        registrations = "".join(
            f"registerHandler({method!r}, {path!r}, {handler!r});\n"
            for method, path, handler in (route.split() for route in routes)
        )
        answer = await self.put(app_id, f"{handlers}\nfunction init() {{ {registrations} }}")
        assert answer.status_code in (200, 201), answer.text

    async def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request of the administrator."""
        return await self.client.request(
            method, f"/api/apps{path}", headers=dict(AS_ADMINISTRATOR), **options
        )


Open = Callable[..., AbstractAsyncContextManager[Host]]


@pytest.fixture
def open_apps(tmp_path: Path) -> Open:
    """``async with open_apps(**settings) as host``: opening again is what a restart of the server is."""

    @asynccontextmanager
    async def opened(*, profile: str = "prod", workers: int = 2, **settings: Any) -> AsyncIterator[Host]:
        sink = Lines()
        async with Database(f"sqlite:///{tmp_path}/apps.db") as db, ScriptPool(workers=workers) as pool:
            await migrate(db, {"apps": MIGRATIONS})
            apps = capability(
                settings=msgspec.convert(settings, AppsSettings, dec_hook=lambda kind, value: kind(value)),
                db=db,
                pool=pool,
                profile=profile,
                logs=sink,
                data_dir=tmp_path / "data",
                watch_seconds=0.05,
            )
            async with running(apps) as client:
                client.timeout = httpx.Timeout(30)
                yield Host(client, pool, sink)

    return opened
