"""An open server with apps, a vault, people, and a log that is looked into."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn
from tests.integration.apps.conftest import Host, Lines
from tests.integration.identity.world import Trail, World, world_on

from runstead.capabilities import apps
from runstead.capabilities.apps import AppsSettings
from runstead.platform import secrets
from runstead.platform.execution.script import ScriptPool
from runstead.platform.observability import Redactor
from runstead.platform.secrets import SecretsSettings, Vault, open_master_keys
from runstead.platform.storage.sql import Database
from runstead.testing.clock import FakeClock


class Town:
    """What a test needs of it."""

    def __init__(self, host: Host, vault: Vault, world: World) -> None:
        self.host = host
        self.vault = vault
        self.world = world
        self.client = host.client

    async def put(self, app_id: str, source: str, **options: Any) -> httpx.Response:
        answer = await self.host.put(app_id, source, **options)
        assert answer.status_code in (200, 201), answer.text
        return answer

    async def answer(self, method: str, path: str, **options: Any) -> Any:
        """The JSON, or the text, of a request that succeeds."""
        answer = await self.client.request(method, path, **options)
        assert answer.status_code == 200, (answer.status_code, answer.text, self.host.sink.emitted[-3:])
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

    def lines(self, level: str = "") -> list[str]:
        """What apps wrote to their consoles."""
        return [one["message"] for one in self.host.sink.emitted if level in ("", one["level"])]

    async def until(self, true: Callable[[], bool], seconds: float = 15) -> None:
        """What happens beside requests, nobody announces."""
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def over_a_socket(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose answers come as they are sent, by a real server in this event loop."""
    transport = town.client._transport
    assert isinstance(transport, httpx.ASGITransport)
    config = uvicorn.Config(transport.app, lifespan="off", log_level="error", access_log=False, port=0)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
            timeout=30,
            limits=httpx.Limits(max_connections=None),
        ) as client:
            yield client
    finally:
        server.should_exit = server.force_exit = True
        await serving
        listening.close()


@asynccontextmanager
async def open_town(
    db: Database, url: str, tmp_path: Path, pool: ScriptPool, **settings: Any
) -> AsyncIterator[Town]:
    """Open one.

    :param settings: of ``[apps]``.
    """
    sink, redactor = Lines(), Redactor()
    async with AsyncExitStack() as stack:
        folders = {"apps": apps.MIGRATIONS, "secrets": secrets.MIGRATIONS}
        world = await stack.enter_async_context(world_on(db, migrations=folders))
        keys = await open_master_keys(db, data_dir=tmp_path / "keys")
        vault = Vault(
            db,
            keyring=keys.keyring,
            settings=SecretsSettings(),
            trail=Trail(),
            masker=redactor,
            clock=FakeClock(),
        )
        fetch = {"allow_addresses": ("127.0.0.0/8",), "timeout_ms": 3000}
        capability = apps.capability(
            settings=msgspec.convert(
                {"fetch": fetch, "webhook_back_off_seconds": (0.05, 0.05), **settings},
                AppsSettings,
                dec_hook=lambda kind, value: kind(value),
            ),
            db=db,
            pool=pool,
            profile="dev",
            logs=sink,
            secrets=vault,
            masker=redactor,
            data_dir=tmp_path / "data",
            database_url=url,
            watch_seconds=0.05,
        )
        world.capabilities = (capability,)
        assert capability.lifespan is not None
        await stack.enter_async_context(capability.lifespan())
        client = await world.browser()
        client.timeout = httpx.Timeout(30)
        yield Town(Host(client, pool, sink), vault, world)
