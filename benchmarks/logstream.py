"""A job that prints as fast as it is let, and 50 who watch: lines a second, how late they come, what memory it takes.

The job would print 100 MB/s and more by itself (measured in the same run, into a pipe that is only read). What a watcher is not
told in time is counted by ``missed`` and stays in the log; nothing is lost there. Also: how long a line of a log of 1 GB takes to
be found by number and by time, plain while it grows and packed afterwards, and the memory of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from runstead.testing.server import ServerProcess

WATCHERS = 50
SECONDS = 10
LINE_BYTES = 200
LOG_BYTES = 1 << 30
SEEKS = 20
#: Prints lines with the moment in them, for so many seconds; or so many bytes, whatever it takes.
PRINT = f"""
import sys, time
rest = b'x' * {LINE_BYTES - 20} + b'\\n'
until, number = time.time() + {SECONDS}, 0
while time.time() < until:
    sys.stdout.buffer.write((b'%.6f ' % time.time() + rest) * 64)
"""
#: 1 000 lines a second, one by one.
PACE = f"""
import sys, time
rest = b'x' * {LINE_BYTES - 20} + b'\\n'
began = time.time()
for number in range({SECONDS} * 1000):
    time.sleep(max(0, began + number / 1000 - time.time()))
    sys.stdout.buffer.write(b'%.6f ' % time.time() + rest)
    sys.stdout.buffer.flush()
"""
FILL = f"""
import sys
rest = b'x' * {LINE_BYTES - 20} + b'\\n'
for number in range({LOG_BYTES // LINE_BYTES} // 1000):
    sys.stdout.buffer.write(b''.join(b'%010d ' % (number * 1000 + n) + rest for n in range(1000)))
"""


class Watcher:
    """Reads a stream of events, and keeps how late the lines came: of one batch in so many the last line."""

    def __init__(self) -> None:
        self.lines = 0
        self.missed = 0
        self.late: list[float] = []

    async def watch(self, client: httpx.AsyncClient, job: str) -> None:
        headers = {"Accept": "text/event-stream"}
        async with client.stream(
            "GET", f"/api/scripts/{job}/logs", headers=headers, params={"tail": 0}
        ) as answer:
            rest = b""
            async for piece in answer.aiter_raw():
                now = time.time()
                *events, rest = (rest + piece).split(b"\n\n")
                for event in events:
                    if b"event: missed" in event:
                        self.missed += json.loads(event.partition(b"data: ")[2])["missed"]
                self.lines += piece.count(b"event: line")
                if events and b'"line":"' in events[-1]:
                    with contextlib.suppress(ValueError):
                        self.late.append(now - float(events[-1].partition(b'"line":"')[2][:17]))


@contextlib.asynccontextmanager
async def house() -> AsyncIterator[tuple[ServerProcess, httpx.AsyncClient]]:
    config = "[jobs]\ncpu_percent = 100000\n[server]\naccess_log = false\n"
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder), config=config) as server:
        async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=600) as client:
            yield server, client


async def start(server: ServerProcess, client: httpx.AsyncClient, code: str) -> str:
    (server.folder / "print.py").write_text(code)
    answer = await client.post("/api/scripts", json={"command": f"{sys.executable} print.py"})
    return str(answer.raise_for_status().json()["id"])


async def until_ended(client: httpx.AsyncClient, job: str) -> dict[str, Any]:
    while True:
        facts: dict[str, Any] = (await client.get(f"/api/scripts/{job}")).json()
        if facts["stopped_at"]:
            return facts
        await asyncio.sleep(0.2)


def memory_mb(pid: int) -> float:
    """The most that the server itself had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def unwatched() -> float:
    """MB/s of the same program into a pipe."""
    process = subprocess.Popen([sys.executable, "-c", PRINT], stdout=subprocess.PIPE)
    assert process.stdout is not None
    total = 0
    while piece := process.stdout.read(1 << 20):
        total += len(piece)
    process.wait()
    return total / SECONDS / 1e6


async def streaming(watchers: int, code: str = PRINT) -> None:
    async with house() as (server, client):
        before = memory_mb(server.pid)
        job = await start(server, client, code)
        crowd = [Watcher() for _ in range(watchers)]
        limits = httpx.Limits(max_connections=watchers + 1)
        async with httpx.AsyncClient(
            base_url=server.url, headers=server.headers, timeout=600, limits=limits
        ) as many:
            await asyncio.gather(*(one.watch(many, job) for one in crowd))
        facts = await until_ended(client, job)
        lines = facts["lines"]
        print(
            f"{watchers} watchers: the job printed {lines * LINE_BYTES / SECONDS / 1e6:.1f} MB/s, {lines / SECONDS:,.0f} lines/s"
        )
        if watchers:
            late = sorted(value for one in crowd for value in one.late)
            seen = statistics.mean(one.lines for one in crowd)
            told = statistics.mean(one.missed for one in crowd)
            p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
            rate = seen * watchers / SECONDS
            print(
                f"  each saw {seen:,.0f} lines and was told of {told:,.0f} that it missed; {rate:,.0f} lines/s in all"
            )
            print(f"  late: p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms")
        print(f"  memory of the server: {before:.0f} MB before, {memory_mb(server.pid):.0f} MB at most")


async def seeking() -> None:
    async with house() as (server, client):
        job = await start(server, client, FILL)
        facts = await until_ended(client, job)
        lines = facts["lines"]
        begun, ended = facts["started_at"], facts["stopped_at"]
        print(
            f"a log of {lines * LINE_BYTES / 1e9:.2f} GB, {lines:,} lines, from {begun[11:19]} to {ended[11:19]}"
        )
        before = memory_mb(server.pid)
        for form in ("plain", "packed"):
            if form == "packed":
                while list(server.folder.glob("data/logs/*/*.log")):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.2)
            moment = (await _page(client, job, **{"from": lines // 2}))[0]["at"]
            for what, params in (
                ("by number", [{"from": lines * n // SEEKS + 1} for n in range(SEEKS)]),
                ("by time", [{"since": moment}] * SEEKS),
                ("the end", [{"tail": 1}] * SEEKS),
            ):
                taken = []
                for one in params:
                    started = time.perf_counter()
                    assert await _page(client, job, **one)
                    taken.append((time.perf_counter() - started) * 1000)
                print(
                    f"  {form:<7} {what:<10} median {statistics.median(taken):6.1f} ms, slowest {max(taken):6.1f} ms"
                )
        print(f"  memory of the server: {before:.0f} MB before, {memory_mb(server.pid):.0f} MB at most")
        size = sum(path.stat().st_size for path in server.folder.glob("data/logs/**/*.zst"))
        print(f"  packed: {size / 1e6:.1f} MB")


async def _page(client: httpx.AsyncClient, job: str, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/scripts/{job}/logs", params={"limit": 1, **params})
    return list(answer.raise_for_status().json()["lines"])


if __name__ == "__main__":
    print(f"the program alone, into a pipe: {unwatched():.0f} MB/s")
    asyncio.run(streaming(0))
    asyncio.run(streaming(WATCHERS))
    print("a job that prints 1 000 lines/s, which all can follow:")
    asyncio.run(streaming(WATCHERS, PACE))
    if "--no-seek" not in sys.argv:
        asyncio.run(seeking())
