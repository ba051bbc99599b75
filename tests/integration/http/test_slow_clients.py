"""Clients that are slow on purpose (slowloris) hold no one else up, and are let go."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from tests.integration.http.process import Connection, service

CLIENTS = 200


async def dribble(connection: Connection, closed: asyncio.Event) -> None:
    """A head that never ends, one line now and then."""
    await connection.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    number = 0
    while not closed.is_set():
        number += 1
        await connection.write(f"X-{number}: x\r\n".encode())
        try:
            async with asyncio.timeout(0.2):
                if not await connection.reader.read(1024):
                    return
        except TimeoutError:
            continue
        except ConnectionError:
            return


@pytest.mark.req("SEC-001")
@pytest.mark.timeout(120)
async def test_heads_that_never_end_are_cut_and_others_are_answered_meanwhile() -> None:
    closed = asyncio.Event()
    async with service(engine="granian", head_seconds=2) as running:
        slow = [await running.connect() for _ in range(CLIENTS)]
        tasks = [asyncio.create_task(dribble(one, closed)) for one in slow]
        async with httpx.AsyncClient(base_url=running.url, timeout=20) as client:
            waits = []
            for _ in range(20):
                began = time.monotonic()
                assert (await client.get("/healthz")).status_code == 200
                waits.append(time.monotonic() - began)
        assert sorted(waits)[10] < 1, "half of the others wait too long"
        async with asyncio.timeout(60):
            # Each returns when the server has closed its connection.
            await asyncio.gather(*tasks)
        for one in slow:
            one.close()


@pytest.mark.parametrize("engine", ["granian", "uvicorn"])
@pytest.mark.timeout(120)
async def test_a_body_that_dribbles_is_cut(engine: str) -> None:
    """Each piece comes in time, the whole of it would take a day."""
    async with service(engine=engine, body_seconds=0.5) as running, await running.connect() as connection:
        await connection.write(b"POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n")
        answer = asyncio.create_task(connection.until(b" 408 "))
        began = time.monotonic()
        while not answer.done() and time.monotonic() - began < 30:
            await connection.write(b"x")
            await asyncio.wait({answer}, timeout=0.1)
        assert await answer
