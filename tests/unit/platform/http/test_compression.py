from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.platform.http.driver import Conversation

from runstead.platform.http.middleware.compression import SIZE_MIN, Compression
from runstead.platform.http.middleware.encoding import ENCODERS, choose_encoding

TEXT = b"all work and no play makes a dull body. " * 200


def decode(encoding: str, data: bytes) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(data)
    if encoding == "br":
        return bytes(brotli.decompress(data))
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (b"gzip", "gzip"),
        (b"x-gzip", "gzip"),
        (b"GZIP", "gzip"),
        (b"gzip, deflate, br, zstd", "zstd"),
        (b"gzip, br", "br"),
        (b"gzip;q=1.0, br;q=0.9", "gzip"),
        (b"gzip;q=0.5, br;q=0.5", "br"),
        (b"zstd;q=0, br;q=0, gzip", "gzip"),
        (b"gzip;q=0", None),
        (b"*", "zstd"),
        (b"*;q=0", None),
        (b"zstd;q=0, *", "br"),
        (b"gzip, *;q=0", "gzip"),
        (b"identity", None),
        (b"identity;q=1, gzip;q=0.5", None),
        (b"identity;q=0.5, gzip;q=1", "gzip"),
        (b"deflate", None),
        (b"gzipped", None),
        (b"notbr, brotli", None),
        (b"gzip;q=nonsense", None),
        (b"gzip;q=7", None),
        (b"gzip ; q = 0.4 , br ; q=0.3", "gzip"),
        (b"", None),
        (b",;=,", None),
    ],
)
@pytest.mark.req("HTTP-009")
def test_the_client_weighs_and_the_server_breaks_ties(accept: bytes, chosen: str | None) -> None:
    assert choose_encoding(accept) == chosen


@given(st.binary(max_size=60))
def test_any_accept_encoding_is_taken(accept: bytes) -> None:
    assert choose_encoding(accept) in (None, *ENCODERS)


@given(st.sampled_from(sorted(ENCODERS)), st.lists(st.binary(max_size=3000), max_size=6))
def test_what_is_encoded_piece_by_piece_decodes_to_the_whole(encoding: str, pieces: list[bytes]) -> None:
    encoder = ENCODERS[encoding]()
    wire = b"".join(encoder.piece(piece) for piece in pieces) + encoder.last(b"end")
    assert decode(encoding, wire) == b"".join(pieces) + b"end"


def answering(*pieces: bytes, status: int = 200, **headers: str) -> Any:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        for number, piece in enumerate(pieces, start=1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    return app


async def ask(app: Any, accept: str = "gzip, br, zstd", method: str = "GET") -> Conversation:
    headers = {"accept-encoding": accept} if accept else {}
    scope = {"state": {"headers": {name.encode(): value.encode() for name, value in headers.items()}}}
    conversation = Conversation(Compression(app), method=method, headers=headers, scope=scope)
    await conversation.task
    return conversation


@pytest.mark.req("HTTP-009")
@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_a_body_arrives_smaller_and_whole(encoding: str) -> None:
    app = answering(TEXT, content_type="text/plain", content_length=str(len(TEXT)), etag='"abc"')
    conversation = await ask(app, encoding)
    assert conversation.headers["content-encoding"] == encoding
    assert conversation.headers["vary"] == "Accept-Encoding"
    assert conversation.headers["etag"] == 'W/"abc"'
    assert int(conversation.headers["content-length"]) == len(conversation.body) < len(TEXT) / 4
    assert decode(encoding, conversation.body) == TEXT


@pytest.mark.req("HTTP-009")
@pytest.mark.parametrize(
    ("case", "app"),
    [
        ("an image", answering(TEXT, content_type="image/png")),
        ("an archive", answering(TEXT, content_type="application/zip")),
        ("no type", answering(TEXT)),
        ("events", answering(TEXT, content_type="text/event-stream; charset=utf-8")),
        ("encoded already", answering(TEXT, content_type="text/plain", content_encoding="br")),
        ("a range", answering(TEXT, content_type="text/plain", content_range="bytes 0-1/2", status=206)),
        ("no-transform", answering(TEXT, content_type="text/plain", cache_control="public, No-Transform")),
        ("no content", answering(b"", content_type="text/plain", status=204)),
        ("not modified", answering(b"", content_type="text/plain", status=304)),
    ],
)
async def test_what_must_stay_as_it_is_stays(case: str, app: Any) -> None:
    conversation = await ask(app)
    assert conversation.headers.get("content-encoding", "br") == "br"
    assert conversation.body in (TEXT, b"")


async def test_a_small_body_is_not_worth_it_but_says_that_it_varies() -> None:
    conversation = await ask(answering(b"x" * (SIZE_MIN - 1), content_type="application/json"))
    assert "content-encoding" not in conversation.headers
    assert conversation.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accept", ["", "identity", "deflate"])
async def test_a_client_that_takes_nothing_gets_it_plain_and_caches_are_told(accept: str) -> None:
    conversation = await ask(answering(TEXT, content_type="text/html; charset=utf-8"), accept)
    assert conversation.body == TEXT
    assert conversation.headers["vary"] == "Accept-Encoding"


async def test_vary_is_not_said_twice() -> None:
    conversation = await ask(answering(TEXT, content_type="text/plain", vary="Cookie, accept-encoding"))
    assert [name for name, _ in conversation.sent[0]["headers"]].count(b"vary") == 1


async def test_head_is_left_alone() -> None:
    conversation = await ask(answering(b"", content_type="text/plain", content_length="9000"), method="HEAD")
    assert conversation.headers["content-length"] == "9000"


@pytest.mark.req("HTTP-010")
async def test_each_piece_of_a_stream_can_be_read_when_it_arrives() -> None:
    go_on = asyncio.Event()

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
        )
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"second", "more_body": False})

    scope = {"state": {"headers": {b"accept-encoding": b"gzip"}}}
    conversation = Conversation(Compression(slow), scope=scope)
    await conversation.until(b"\x00\xff\xff")
    assert "content-length" not in conversation.headers
    decoder = zlib.decompressobj(wbits=31)
    assert decoder.decompress(conversation.body) == b"first"
    read = len(conversation.body)
    go_on.set()
    await conversation.task
    assert decoder.decompress(conversation.body[read:]) == b"second"
    assert decoder.eof
    assert conversation.complete


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
async def test_an_empty_stream_is_a_valid_stream(encoding: str) -> None:
    conversation = await ask(answering(b"", b"", b"", content_type="text/plain"), encoding)
    assert decode(encoding, conversation.body) == b""
    assert conversation.complete


async def test_a_large_body_does_not_hold_the_loop() -> None:
    conversation = await ask(answering(TEXT * 100, content_type="text/plain"), "br")
    assert decode("br", conversation.body) == TEXT * 100


async def test_nothing_is_sent_when_the_answer_fails_before_its_body() -> None:
    async def failing(_scope: Any, _receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
        )
        raise ValueError("early")

    conversation = Conversation(
        Compression(failing), scope={"state": {"headers": {b"accept-encoding": b"gzip"}}}
    )
    with pytest.raises(ValueError, match="early"):
        await conversation.task
    assert conversation.sent == []
