"""A thousand listeners of one stream: each gets every message, in order; how long from the sending to the last of them.

The listeners are one process beside the server's, over real sockets; the times are of one machine's clock.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from runstead.testing.server import ServerProcess

LISTENERS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
MESSAGES = 100
PAUSE_SECONDS = 0.2
LIMIT_MS = 100
SOURCE = """
function publish(c) { return Response.json(routeRegistry.sendStreamMessage('/events', c.request.body)); }
function init() { routeRegistry.registerStreamRoute('/events'); register('/publish', 'publish', 'POST'); }
"""


def listen(url: str, connection: Any) -> None:
    asyncio.run(_listen(url, connection))


class Listener(asyncio.Protocol):
    """As little as can be between the socket and the clock: what it costs is counted, too."""

    def __init__(self, host: str, counts: Counts) -> None:
        self._host = host
        self._counts = counts
        self._rest = b""
        self._expected = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(
            f"GET /events HTTP/1.1\r\nHost: {self._host}\r\nAccept: text/event-stream\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.time()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: ["):
                number, sent = line[7:-1].split(b",")
                self._counts.late.append((now - float(sent)) * 1000)
                self._counts.wrong += int(number) != self._expected
                self._expected += 1
                if self._expected == MESSAGES:
                    self._counts.end()
                    self._transport.close()
            elif line.startswith(b"retry: "):
                self._counts.begin()


class Counts:
    """Of all listeners."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.wrong = self._begun = self._ended = 0
        self.all_begun, self.all_ended = asyncio.Event(), asyncio.Event()

    def begin(self) -> None:
        self._begun += 1
        if self._begun == LISTENERS:
            self.all_begun.set()

    def end(self) -> None:
        self._ended += 1
        if self._ended == LISTENERS:
            self.all_ended.set()


async def _listen(url: str, connection: Any) -> None:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    counts, loop = Counts(), asyncio.get_running_loop()
    for number in range(LISTENERS):
        await loop.create_connection(lambda: Listener(f"{host}:{port}", counts), host, port)
        if number % 50 == 0:
            await asyncio.sleep(0.02)
    await counts.all_begun.wait()
    connection.send("ready")
    await counts.all_ended.wait()
    connection.send((counts.late, counts.wrong))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        made = httpx.put(
            f"{server.url}/api/apps/bench",
            params={"privileged": "true"},
            content=SOURCE,
            headers=server.headers,
        )
        made.raise_for_status()
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=listen, args=(server.url, theirs))
        process.start()
        ours.recv()
        with httpx.Client(base_url=server.url) as client:
            for number in range(MESSAGES):
                client.post("/publish", content=json.dumps([number, time.time()])).raise_for_status()
                time.sleep(PAUSE_SECONDS)
        late, wrong = ours.recv()
        process.join()
    late.sort()
    p50, p99 = statistics.median(late), late[int(len(late) * 0.99)]
    print(
        f"{LISTENERS} listeners, {MESSAGES} messages: {len(late)} of {LISTENERS * MESSAGES} came, {wrong} out of order"
    )
    print(
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms ({p99 / LIMIT_MS:.0%} of {LIMIT_MS} ms), slowest {late[-1]:.1f} ms"
    )


if __name__ == "__main__":
    main()
