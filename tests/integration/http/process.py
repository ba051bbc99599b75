"""Starts ``service.py`` and talks to it over raw sockets."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

SERVICE = Path(__file__).with_name("service.py")
SECONDS = 20.0


class Service:
    """The running process. ``lines`` is what it printed."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url
        self.lines: list[str] = []
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())
            self._news.set()

    async def printed(self, text: str) -> str:
        """Wait for a line that begins like this."""
        return await self._line(lambda line: line.startswith(text))

    async def said(self, text: str) -> str:
        """Wait for a line, such as one of the log, that holds this."""
        return await self._line(lambda line: text in line)

    async def _line(self, fits: Callable[[str], bool]) -> str:
        async with asyncio.timeout(SECONDS):
            while True:
                for line in self.lines:
                    if fits(line):
                        return line
                self._news.clear()
                await self._news.wait()

    def terminate(self) -> float:
        """Ask it to stop; the moment of asking."""
        self.process.terminate()
        return time.monotonic()

    async def ended(self) -> int:
        """Wait for its end; the exit status."""
        async with asyncio.timeout(SECONDS):
            status = await self.process.wait()
            await self._reader
        return status

    async def connect(self, tls: ssl.SSLContext | None = None) -> Connection:
        """A connection of our own."""
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port, ssl=tls))

    async def answer(self, request: bytes, seconds: float = SECONDS) -> tuple[bytes, bool]:
        """Send these bytes; what came back until the server closed or fell silent, and whether it closed."""
        async with await self.connect() as connection:
            await connection.write(request)
            return await connection.read_all(seconds)


class Connection:
    """A socket that speaks no HTTP by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.writer.transport.abort()

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        try:
            await self.writer.drain()
        except ConnectionError:
            return

    async def until(self, text: bytes) -> bytes:
        """Read until this came."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.readuntil(text)

    async def read_all(self, seconds: float = SECONDS) -> tuple[bytes, bool]:
        received = b""
        try:
            async with asyncio.timeout(seconds):
                while data := await self.reader.read(65_536):
                    received += data
        except TimeoutError:
            return received, False
        except ConnectionError:
            return received, True
        return received, True


@asynccontextmanager
async def service(**options: Any) -> AsyncIterator[Service]:
    """Start the process and stop it, by force when it must be."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SERVICE),
        json.dumps(options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        lines = []
        async with asyncio.timeout(SECONDS):
            while line := (await process.stdout.readline()).decode():
                lines.append(line)
                if line.startswith("ready "):
                    break
        assert lines, "it ended before it was ready"
        assert lines[-1].startswith("ready "), "".join(lines)
        yield Service(process, lines[-1].split()[1])
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        # The transport of the pipe is closed by the loop, not by the end of the process.
        await asyncio.sleep(0)
