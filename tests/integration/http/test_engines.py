"""Both engines keep the same promises, shown with a real process and raw sockets."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.http.process import Connection, service

from runstead.kernel.capability import ASGIApp
from runstead.platform.config.settings import ServerSettings
from runstead.platform.http import serve

ENGINES = ["granian", "uvicorn"]
CERTIFICATES = Path(__file__).with_name("certificates")
TLS = {"tls_cert": str(CERTIFICATES / "cert.pem"), "tls_key": str(CERTIFICATES / "key.pem")}
HOST = b"Host: 127.0.0.1\r\n"

each_engine = pytest.mark.parametrize("engine", ENGINES)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n"


@pytest.mark.req("DEPLOY-006")
@each_engine
async def test_a_stop_lets_requests_finish_ends_streams_and_takes_nothing_new(engine: str) -> None:
    async with (
        service(engine=engine, shutdown_grace_seconds=15) as running,
        httpx.AsyncClient(base_url=running.url, timeout=20) as client,
        await running.connect() as stream,
        await running.connect() as idle,
    ):
        await idle.write(get("/healthz"))
        await idle.until(b'{"status":"ok"}')
        await stream.write(get("/events"))
        await stream.until(b"data: 3\n\n")
        slow = asyncio.create_task(client.get("/slow?1.5"))
        await running.printed("slow began")

        began = running.terminate()
        rest, closed = await stream.read_all()
        assert closed
        # The end of a chunked body: it was ended, not cut off.
        assert rest.endswith(b"0\r\n\r\n")
        assert (await idle.read_all())[1]
        with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the kernel likes
            await running.connect()
        assert (await slow).json() == {"slow": True}
        assert await running.ended() == 0
        assert time.monotonic() - began < 14
    assert "events closed" in running.lines
    assert running.lines[-1] == "stopped"
    assert not [
        line for line in running.lines if "panic" in line or "Traceback" in line or "experimental" in line
    ]


@each_engine
async def test_what_does_not_finish_in_time_is_cut(engine: str) -> None:
    async with (
        service(engine=engine, shutdown_grace_seconds=1) as running,
        await running.connect() as connection,
    ):
        await connection.write(get("/slow?60"))
        await running.printed("slow began")
        began = running.terminate()
        assert await running.ended() == 0
        assert 0.9 < time.monotonic() - began < 20
    assert "slow cut" in running.lines
    assert running.lines[-1] == "stopped"


@each_engine
async def test_engine_logs_are_lines_of_ours(engine: str) -> None:
    async with service(engine=engine) as running:
        await running.answer(b"garbage\r\n\r\n")
        await running.answer(get("/late"))
        running.terminate()
        await running.ended()
    logged = [line for line in running.lines if line != "stopped"]
    assert [json.loads(line)["message"] for line in logged if "answer cut off" in line]
    for line in logged:
        assert json.loads(line)["timestamp"]


@each_engine
@pytest.mark.req("HTTP-010")
async def test_the_source_of_a_stream_is_closed_when_the_client_hangs_up(engine: str) -> None:
    async with service(engine=engine) as running:
        async with await running.connect() as connection:
            await connection.write(get("/events"))
            await connection.until(b"data: 2\n\n")
        await running.printed("events closed")


@each_engine
@pytest.mark.req("HTTP-010")
async def test_a_client_that_does_not_read_holds_the_source_back(engine: str) -> None:
    async with service(engine=engine) as running:
        async with await running.connect() as connection:
            await connection.write(get("/flood"))
            await connection.until(b"\r\n\r\n")
            async with httpx.AsyncClient(base_url=running.url) as client:
                made = [-1, 0]
                while made[-1] != made[-2]:
                    await asyncio.sleep(0.2)
                    made.append((await client.get("/flood/made")).json()["made"])
        await running.printed("flood closed")
    # What the kernel's buffers on both sides hold, and no more.
    assert made[-1] < 30_000_000


@each_engine
async def test_an_answer_that_fails_midway_is_seen_to_be_incomplete(engine: str) -> None:
    async with service(engine=engine) as running:
        received, closed = await running.answer(get("/late"))
        assert closed
        assert b"part" in received
        assert not received.endswith(b"0\r\n\r\n")
        async with httpx.AsyncClient(base_url=running.url) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/late")
            assert (await client.get("/healthz")).status_code == 200


SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"

#: Name → a request that two servers might read differently.
AMBIGUOUS = {
    "two lengths that differ": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 6\r\nContent-Length: 5\r\n\r\nabcdef",
    "a length with a sign": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: +6\r\n\r\nabcdef",
    "length and chunked": b"POST /echo HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "an unknown coding": b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not the last": b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length : 6\r\n\r\nabcdef",
    "a bare CR in a value": b"GET /echo HTTP/1.1\r\n" + HOST + b"X: a\rY: b\r\n\r\n",
    "a chunk size that is none": b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "two hosts": b"GET /echo HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "no host": b"GET /echo HTTP/1.1\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01\x00garbage\r\n\r\n",
}  # fmt: skip


@pytest.mark.req("STD-001")
@each_engine
@pytest.mark.req("SEC-001")
async def test_ambiguous_requests_are_refused_and_smuggle_nothing(engine: str) -> None:
    async with service(engine=engine) as running:
        for name, request in AMBIGUOUS.items():
            received, closed = await running.answer(request, seconds=2)
            # Granian reads the chunked body, as RFC 9112 section 6.3 allows, and closes the connection after it.
            allowed = {b"400", b"200"} if name == "length and chunked" else {b"400", b"501"}
            assert received[9:12] in allowed, (name, received[:200])
            if name == "length and chunked":
                assert closed
    assert "echo GET /smuggled" not in running.lines


@each_engine
@pytest.mark.req("HTTP-005")
async def test_oversized_heads_and_bodies_are_refused(engine: str) -> None:
    async with service(engine=engine, body_max_bytes=10_000) as running:
        head = b"GET /echo HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n"
        received, closed = await running.answer(head)
        assert (closed, received[9:12] in (b"431", b"400")) == (True, True)
        announced = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 10001\r\n\r\n"
        assert (await running.answer(announced, seconds=2))[0][9:12] == b"413"
        chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        chunked = b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + 3 * chunk
        assert (await running.answer(chunked, seconds=2))[0][9:12] == b"413"


async def test_granian_does_not_wait_for_a_head_that_does_not_come() -> None:
    async with service(engine="granian", head_seconds=1) as running:
        for beginning in (b"", b"GET / HTTP/1.1\r\nHo", get("/healthz")):
            began = time.monotonic()
            _, closed = await running.answer(beginning)
            assert closed
            assert 0.5 < time.monotonic() - began < 20


@each_engine
async def test_many_more_connections_than_the_backlog_are_held(engine: str) -> None:
    async with service(engine=engine, backlog=16, connections_max=1000) as running:
        connections: list[Connection] = []
        try:
            for _ in range(300):
                connection = await running.connect()
                connections.append(connection)
                await connection.write(get("/healthz"))
                await connection.until(b'{"status":"ok"}')
            for connection in connections:
                await connection.write(get("/ready"))
                await connection.until(b'{"status":"ready"}')
        finally:
            for connection in connections:
                connection.close()


async def test_granian_holds_no_more_connections_than_it_may() -> None:
    async with service(engine="granian", connections_max=3) as running:
        held = [await running.connect() for _ in range(3)]
        for connection in held:
            await connection.write(get("/healthz"))
            await connection.until(b'{"status":"ok"}')
        async with await running.connect() as waiting:
            await waiting.write(get("/healthz"))
            assert await waiting.read_all(0.5) == (b"", False)
            held.pop().close()
            await waiting.until(b'{"status":"ok"}')
        for connection in held:
            connection.close()


def trusting(**limits: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(CERTIFICATES / "cert.pem"))
    for name, value in limits.items():
        setattr(context, name, value)
    return context


@each_engine
@pytest.mark.req("HTTP-006")
async def test_tls_is_spoken_from_1_2_on(engine: str) -> None:
    async with service(engine=engine, **TLS) as running:
        assert running.url.startswith("https://")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = trusting(minimum_version=version, maximum_version=version)
            async with httpx.AsyncClient(verify=context) as client:
                response = await client.get(running.url + "/echo")
            assert response.json()["scheme"] == "https"
            assert response.headers["Strict-Transport-Security"]
        with pytest.warns(DeprecationWarning, match="TLS"):
            old = trusting(minimum_version=ssl.TLSVersion.TLSv1_1, maximum_version=ssl.TLSVersion.TLSv1_1)
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(verify=old) as client:
                await client.get(running.url + "/echo")


@pytest.mark.req("HTTP-006")
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl for HTTP/2")
async def test_http_2_is_spoken_over_tls() -> None:
    async with service(engine="granian", **TLS) as running:
        for body in ("", "x" * 5000):
            curl = await asyncio.create_subprocess_exec(
                "curl", "-s", "--http2", "--cacert", TLS["tls_cert"], "-d", body, running.url + "/echo",
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            answer = json.loads((await curl.communicate())[0])
            assert answer == {"bytes": len(body), "http_version": "2", "scheme": "https"}


@each_engine
async def test_websockets_are_spoken(engine: str) -> None:
    handshake = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    # A masked text frame, the mask being zero: "hi".
    frame = b"\x81\x82\x00\x00\x00\x00hi"
    async with service(engine=engine) as running:
        async with await running.connect() as connection:
            await connection.write(b"GET /socket HTTP/1.1\r\n" + HOST + handshake)
            assert b" 101 " in await connection.until(b"\r\n\r\n")
            await connection.write(frame)
            assert (await connection.until(b"HI")).endswith(b"\x81\x02HI")
        foreign = b"GET /socket HTTP/1.1\r\n" + HOST + b"Origin: https://evil.example\r\n" + handshake
        assert (await running.answer(foreign, seconds=2))[0][9:12] == b"403"


@each_engine
async def test_ipv6_loopback_is_served(engine: str) -> None:
    try:
        await (await asyncio.start_server(lambda *_: None, "::1", 0)).__aexit__()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    async with service(engine=engine, host="::1") as running, httpx.AsyncClient() as client:
        assert running.url.startswith("http://[::1]:")
        assert (await client.get(running.url + "/healthz")).status_code == 200


@each_engine
async def test_an_address_in_use_is_an_error_at_once(engine: Any) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        """Never called."""

    served: ASGIApp = app
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await serve(
                served,
                ServerSettings(port=port, engine=engine),
                stop=asyncio.Event(),
                on_ready=lambda _url: None,
            )
