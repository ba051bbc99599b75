"""10 000 idle keep-alive connections, held while another client is served.

Each connection sends one request and stays open. Then every hundredth asks again, which shows that they are alive, and
a fresh connection is timed. The machine must allow 20 000 open files; the load stays on loopback.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from footprint import pss_megabytes

from runstead.testing.server import ServerProcess

CONNECTIONS = 10_000
OPENING_AT_ONCE = 200
OPEN_FILES_NEEDED = 20_000
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def ask(stream: Stream) -> None:
    """One request on this connection, its answer read to the end."""
    reader, writer = stream
    writer.write(REQUEST)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode(errors="replace"))
    length = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    await asyncio.wait_for(reader.readexactly(length), 30)


async def open_all(port: int) -> list[Stream]:
    gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def open_one() -> Stream:
        async with gate:
            stream = await asyncio.open_connection("127.0.0.1", port)
            await ask(stream)
            return stream

    return await asyncio.gather(*(open_one() for _ in range(CONNECTIONS)))


async def measure(server: ServerProcess) -> int:
    port = int(server.url.rsplit(":", 1)[1])
    before = pss_megabytes(server.pid)
    started = time.monotonic()
    streams = await open_all(port)
    print(f"{len(streams)} connections opened and answered in {time.monotonic() - started:.1f} s")
    await asyncio.sleep(5)  # idle is the point; not a test
    after = pss_megabytes(server.pid)
    await asyncio.gather(*(ask(stream) for stream in streams[::100]))
    started = time.monotonic()
    fresh = await asyncio.open_connection("127.0.0.1", port)
    await ask(fresh)
    fresh_ms = (time.monotonic() - started) * 1000
    open_now = sum(not reader.at_eof() for reader, _ in streams)
    for _, writer in (*streams, fresh):
        writer.close()
    print(f"still open               {open_now} of {CONNECTIONS}")
    print(f"a fresh client's answer  {fresh_ms:.1f} ms")
    each = (after - before) * 1000 / CONNECTIONS
    print(f"memory                   {each:.1f} KB PSS a connection ({before:.0f} -> {after:.0f} MB)")
    return int(open_now < CONNECTIONS)


def main() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES_NEEDED:
        print(f"this machine allows {hard} open files; {OPEN_FILES_NEEDED} are needed (ulimit -n)")
        return 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, OPEN_FILES_NEEDED), hard))
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        return asyncio.run(measure(server))


if __name__ == "__main__":
    sys.exit(main())
