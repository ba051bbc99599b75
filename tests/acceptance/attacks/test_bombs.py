"""Small requests that grow: compressed, nested, numerous, endless."""

from __future__ import annotations

import gzip
import json
import time
import zlib

import pytest
from tests.acceptance.house import ROOT, House

DEEP = 100_000


def healthy(seconds: float) -> None:
    assert seconds < 20, "it took the server too long"


BOMBS = {
    "nested lists": b"[" * DEEP + b"]" * DEEP,
    "nested objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "open lists": b"[" * DEEP,
    "a long number": b"9" * 1_000_000,
    "a long exponent": b"1e" + b"9" * 100_000,
    "many keys": json.dumps({f"key{number}": number for number in range(50_000)}).encode(),
    "the same key": b"{" + b",".join(b'"name":"x"' for _ in range(50_000)) + b"}",
    "a long text": json.dumps({"name": "x" * 900_000}).encode(),
    "half a pair": b'{"name": "\\ud800"}',
    "no text": b"\xff\xfe" * 1000,
    "zeros": bytes(100_000),
}


@pytest.mark.req("SEC-001")
@pytest.mark.timeout(180)
async def test_bombs_of_json_are_survived(world: House) -> None:
    for name, bomb in BOMBS.items():
        await _survived(world, name, bomb)


async def _survived(world: House, name: str, bomb: bytes) -> None:
    root = world.clients[ROOT]
    began = time.monotonic()
    for path in (
        "/auth/login",
        "/api/users",
        "/api/scripts",
        "/editor/api/secrets",
        "/admin/projects",
        "/wordcount",
        "/v1/artifacts",
    ):
        answer = await root.post(path, content=bomb, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, f"{name} to {path}: {answer.status_code}"
        assert "Traceback" not in answer.text
    healthy(time.monotonic() - began)
    assert (await root.get("/healthz")).status_code == 200


@pytest.mark.req("SEC-001")
async def test_a_compressed_bomb_is_not_unpacked_whole(world: House) -> None:
    root = world.clients[ROOT]
    packed = gzip.compress(bytes(200_000_000), 9)
    assert len(packed) < 1_000_000
    for encoding, body in (
        ("gzip", packed),
        ("gzip, gzip", gzip.compress(packed)),
        ("deflate", zlib.compress(bytes(10_000_000))),
    ):
        began = time.monotonic()
        for path in ("/api/log", "/api/users", "/api/apps/mine", "/v1/artifacts"):
            method = "PUT" if "apps" in path else "POST"
            answer = await root.request(
                method,
                path,
                content=body,
                headers={"Content-Encoding": encoding, "Content-Type": "application/json"},
            )
            assert 400 <= answer.status_code < 500, f"{path}: {answer.status_code}"
        healthy(time.monotonic() - began)


async def test_very_many_parameters_and_headers_do_no_harm(world: House) -> None:
    root = world.clients[ROOT]
    began = time.monotonic()
    query = "&".join(f"q{number}=x" for number in range(4_000))
    assert (await root.get(f"/api/log?{query}")).status_code < 500
    cookies = "; ".join(f"runstead={number}" for number in range(2_000))
    nobody = await world.client(Cookie=cookies)
    assert (await nobody.get("/auth/me")).json()["kind"] == "anonymous"
    assert (await root.get("/api/audit", params={"actor": "a" * 600})).status_code == 400
    healthy(time.monotonic() - began)


async def test_a_search_cannot_be_made_slow(world: House) -> None:
    root = world.clients[ROOT]
    began = time.monotonic()
    for text in ("(" * 500, "a" * 2000, "* " * 500, '"' * 999, "a OR " * 400, "NOT " * 500, "(a+)+$" * 100):
        assert (await root.get("/api/log", params={"q": text})).status_code < 500, text[:20]
    healthy(time.monotonic() - began)
