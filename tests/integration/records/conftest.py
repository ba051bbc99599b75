"""Records on a folder and in memory, called without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from runstead.capabilities.records import RecordsService, RecordsSettings, capability
from runstead.kernel.clock import Clock
from runstead.platform.storage.objects import FolderObjects, Objects
from runstead.testing.objects import MemoryObjects
from runstead.testing.scenario import running

SERVICE = "/v1/artifacts/acme/shop/checkout"

#: A UUIDv7, which tells its date.
RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


def document(**changes: Any) -> dict[str, Any]:
    """A valid document; a change to ``...`` leaves the field out."""
    whole: dict[str, Any] = {
        "organization": "acme",
        "project": "shop",
        "service": "checkout",
        "run_id": "run-1",
        "artifact": {"nodes": [1, 2.5, "ö"], "ok": True},
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not ...}


@dataclass
class World:
    """One server on one store."""

    client: httpx.AsyncClient
    objects: Objects
    service: RecordsService

    async def put(self, **changes: Any) -> httpx.Response:
        return await self.client.post("/v1/artifacts", json=document(**changes))


def open_records(
    objects: Objects, *, loopback: bool = True, clock: Clock | None = None, **settings: Any
) -> tuple[RecordsService, AbstractAsyncContextManager[httpx.AsyncClient]]:
    """The service, and a client of the server around it."""
    records = capability(
        settings=RecordsSettings(**settings), objects=objects, loopback=loopback, clock=clock
    )
    return records.services["records"], running(records)


@pytest.fixture(params=["folder", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    """Each kind of store."""
    make: dict[str, Callable[[], Objects]] = {
        "folder": lambda: FolderObjects(tmp_path / "objects"),
        "memory": MemoryObjects,
    }
    return make[request.param]()


@pytest.fixture
async def world(objects: Objects) -> AsyncIterator[World]:
    """A server on loopback without authentication."""
    service, opening = open_records(objects)
    async with opening as client:
        yield World(client, objects, service)
