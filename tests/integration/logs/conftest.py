"""Logs on SQLite and PostgreSQL, called without a socket."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from runstead.capabilities.logs import MIGRATIONS, Intake, LogsService, LogsSettings, capability
from runstead.platform.observability import Health, Metrics
from runstead.platform.secrets import AesGcmSealer
from runstead.platform.storage.sql import Database, migrate
from runstead.testing.scenario import AS_ADMINISTRATOR, running

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@dataclass
class BentClock:
    """A clock that moves when it is told to."""

    offset: float = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.offset)

    def monotonic(self) -> float:
        return 1000.0 + self.offset

    async def sleep(self, seconds: float) -> None:
        self.offset += seconds
        await asyncio.sleep(0)


@dataclass
class Project:
    """What a sender knows."""

    slug: str
    project_key: str
    hmac_secret: str

    def signed(self, body: bytes, timestamp: str = "", **headers: str) -> dict[str, str]:
        """The headers of a request with this body."""
        text = timestamp.encode() + b"." + body if timestamp else body
        signature = hmac.new(self.hmac_secret.encode(), text, hashlib.sha256).hexdigest()
        stamp = {"X-Timestamp": timestamp} if timestamp else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return {
            "X-Project-Key": self.project_key,
            "X-Signature": signature,
            "Content-Type": "application/json",
            **stamp,
            **named,
        }


@dataclass
class World:
    """One server on one database. The client is nobody unless it says otherwise."""

    client: httpx.AsyncClient
    service: LogsService
    clock: BentClock
    metrics: Metrics
    _projects: dict[str, Project] = field(default_factory=dict)

    @property
    def intake(self) -> Intake:
        return self.service.intake

    async def project(self, slug: str = "shop", **settings: Any) -> Project:
        """Make a project."""
        document = {"slug": slug, "name": slug.title(), **settings}
        answer = await self.admin("POST", "/admin/projects", json=document)
        assert answer.status_code == 201, answer.text
        return Project(**answer.json())

    async def admin(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask as the administrator."""
        headers = {**AS_ADMINISTRATOR, **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)

    async def send(
        self, project: Project, *events: Any, path: str = "/api/log", **headers: str
    ) -> httpx.Response:
        """Send a batch of events."""
        body = json.dumps({"events": list(events)}).encode()
        return await self.client.post(path, content=body, headers=project.signed(body, **headers))

    async def stored(self, project: Project, *events: Mapping[str, Any]) -> None:
        """Send events that must be taken."""
        answer = await self.send(project, *events)
        assert answer.status_code == 200, answer.text

    async def search(self, **params: Any) -> list[dict[str, Any]]:
        """Search as the administrator."""
        answer = await self.admin("GET", "/api/log", params=params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["logs"]
        return found

    async def messages(self, **params: Any) -> list[str]:
        """The messages that a search finds."""
        return [one["message"] for one in await self.search(**params)]


def event(message: str = "it broke", **fields: Any) -> dict[str, Any]:
    """A good event."""
    return {"level": "error", "message": message, **fields}


@asynccontextmanager
async def open_world(url: str, clock: BentClock | None = None, **settings: Any) -> AsyncIterator[World]:
    """A server on the database of this URL, which may have been used before."""
    clock = clock or BentClock()
    metrics = Metrics()
    async with Database(url) as db:
        await migrate(db, {"logs": MIGRATIONS})
        logs = capability(
            settings=LogsSettings(**settings),
            db=db,
            sealer=AesGcmSealer(bytes(32)),
            clock=clock,
            registry=metrics.registry,
        )
        async with running(logs, metrics=metrics, health=Health(cache_seconds=0)) as client:
            yield World(client, logs.services["logs"], clock, metrics)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A server, once on each kind of database."""
    async with open_world(database_url) as opened:
        yield opened


@pytest.fixture
def open_sqlite(sqlite_url: str) -> Callable[..., AbstractAsyncContextManager[World]]:
    """Open servers on one SQLite file: for what does not depend on the database."""

    def open_it(**options: Any) -> AbstractAsyncContextManager[World]:
        return open_world(sqlite_url, **options)

    return open_it


@pytest.fixture
def sqlite_file(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))
