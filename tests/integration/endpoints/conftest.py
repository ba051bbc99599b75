"""A server with endpoints in a folder of its own, called without a socket; programs are real processes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from runstead.capabilities.endpoints import EndpointSettings, EndpointsService, RunsSettings, capability
from runstead.kernel.capability import Capability
from runstead.kernel.clock import Clock, SystemClock
from runstead.platform.execution.process import Supervisor
from runstead.platform.storage.sql import MIGRATIONS, Database, migrate
from runstead.testing.scenario import OPERATOR_PASSWORD, running

#: Registered as a secret with every server of these tests.
SECRET = "s3cr3t-t0ken"


class Masker:
    """Knows the one secret."""

    def redact(self, data: bytes) -> bytes:
        return re.sub(SECRET.encode(), b"***", data)


@dataclass
class Line:
    """What the log sink was given."""

    source: str
    level: str
    message: str
    request_id: str
    context: Mapping[str, Any]


@dataclass
class Lines:
    """A log sink that remembers, and wakes who waits for a line."""

    lines: list[Line] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(
        self,
        *,
        source: str,
        level: str,
        message: str,
        at: datetime,
        request_id: str = "",
        context: Mapping[str, Any] | None = None,
    ) -> None:
        assert at.tzinfo is not None
        self.lines.append(Line(source, level, message, request_id, context or {}))
        self.arrived.set()

    async def until(self, message: str) -> Line:
        """The first line with this text, when it comes."""
        async with asyncio.timeout(30):
            while True:
                for line in self.lines:
                    if message in line.message:
                        return line
                self.arrived.clear()
                await self.arrived.wait()


@dataclass
class World:
    """One server."""

    folder: Path
    client: httpx.AsyncClient
    capability: Capability
    logs: Lines
    db: Database

    @property
    def service(self) -> EndpointsService:
        service: EndpointsService = self.capability.services["endpoints"]
        return service

    def runs(self) -> list[Path]:
        """The run folders, the oldest first."""
        return sorted((self.folder / "data/runs").glob("*/*/*"), key=lambda path: path.name)

    def result(self) -> dict[str, Any]:
        """``result.json`` of the last run."""
        result: dict[str, Any] = msgspec.json.decode((self.runs()[-1] / "result.json").read_bytes())
        return result


def write_script(folder: Path, name: str, text: str) -> str:
    """An executable in the folder; gives its name."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return name


def shell(folder: Path, body: str, name: str = "script.sh") -> str:
    return write_script(folder, name, f"#!/bin/sh\n{body}\n")


def python(folder: Path, body: str, name: str = "script.py") -> str:
    return write_script(folder, name, f"#!/usr/bin/env python3\n{body}\n")


def declare(script: str, name: str = "a", **fields: Any) -> EndpointSettings:
    """A valid declaration, as it would come out of the config file."""
    return msgspec.convert(
        {"name": name, "path": f"/{name}", "script_path": script, **fields}, EndpointSettings
    )


@asynccontextmanager
async def world(
    folder: Path,
    endpoints: Sequence[EndpointSettings],
    *,
    runs: RunsSettings | None = None,
    open_door: bool = True,
    clock: Clock | None = None,
    environ: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """Serve these endpoints."""
    logs = Lines()
    async with AsyncExitStack() as stack:
        (folder / "data").mkdir(exist_ok=True)
        db = await stack.enter_async_context(Database(f"sqlite:///{folder}/data/runstead.db"))
        await migrate(db, {"platform": MIGRATIONS})
        served = capability(
            settings=endpoints,
            runs=runs or RunsSettings(),
            base_dir=folder,
            data_dir=folder / "data",
            db=db,
            supervisor=Supervisor(SystemClock()),
            sandbox="auto",
            open_door=open_door,
            redactor=Masker(),
            logs=logs,
            clock=clock,
            environ=environ or {},
        )
        password = None if open_door else OPERATOR_PASSWORD
        client = await stack.enter_async_context(running(served, master_password=password, headers=headers))
        yield World(folder=folder, client=client, capability=served, logs=logs, db=db)


def processes(mark: str) -> list[int]:
    """The processes that have this text in their command line, in whatever namespace."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in command:
                found.append(int(entry.name))
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something outside of this process that sends no event, such as the end of another process."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
