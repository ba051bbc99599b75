"""Batches: taken, refused, found again."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
import zstandard
from tests.integration.logs.conftest import Project, World, event

OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


async def test_a_signed_batch_is_stored_and_found_again(world: World) -> None:
    shop = await world.project()
    answer = await world.send(
        shop,
        event("payment ord_1742 refused", source="till", env="staging", user_id=17, request_id="r-1",
              tags=["vip", "card"], context={"amount": 12.5}, stack="at pay (till.js:3)", ts=1_777_000_000_123),
        {"level": "info", "message": "hello"},
    )  # fmt: skip
    assert answer.status_code == 200
    assert answer.json() == {
        "received": 2,
        "processed": 2,
        "requestId": answer.headers["X-Request-ID"],
    }
    assert answer.headers["X-RateLimit-Limit"] == "5000"
    assert answer.headers["X-RateLimit-Remaining"] == "4998"

    hello, payment = await world.search(project="shop")
    assert payment["level"] == "error"
    assert payment["message"] == "payment ord_1742 refused"
    assert (payment["source"], payment["env"]) == ("till", "staging")
    assert payment["ts"] == "2026-04-24T03:06:40.123000Z"
    assert payment["context"] == {"amount": 12.5, "stack": "at pay (till.js:3)"}
    assert (payment["user_id"], payment["request_id"], payment["tags"]) == ("17", "r-1", "vip,card")
    assert len(payment["fingerprint"]) == len(payment["group"]) == 40
    assert payment["created_at"] == "2026-05-01T12:00:00.000000Z"
    assert (hello["source"], hello["env"], hello["context"]) == ("shop", "production", {})
    assert (hello["user_id"], hello["request_id"], hello["tags"]) == (None, None, None)
    assert hello["ts"] == "2026-05-01T12:00:00.000000Z"


SIGNATURES: list[tuple[str, dict[str, str | None], int]] = [
    ("nothing at all", {"X-Project-Key": None, "X-Signature": None}, 401),
    ("no key", {"X-Project-Key": None}, 401),
    ("no signature", {"X-Signature": None}, 401),
    ("unknown key", {"X-Project-Key": "rk_guessed"}, 401),
    ("wrong signature", {"X-Signature": "0" * 64}, 401),
    ("signature that is no hex", {"X-Signature": "zz"}, 401),
    ("signature beyond ASCII", {"X-Signature": "\xe9" * 64}, 401),
    ("timestamp that was not signed", {"X-Timestamp": "1777636800"}, 401),
    ("right", {}, 200),
]


@pytest.mark.parametrize(("name", "changes", "status"), SIGNATURES, ids=[row[0] for row in SIGNATURES])
async def test_only_the_signature_of_the_project_opens(
    open_sqlite: OpenWorld, name: str, changes: dict[str, str | None], status: int
) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        body = json.dumps([event(name)]).encode()
        headers = {k: v for k, v in {**shop.signed(body), **changes}.items() if v is not None}
        encoded = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
        answer = await world.client.post("/api/log", content=body, headers=encoded)
        assert answer.status_code == status, answer.text
        if status == 401:
            assert answer.json()["error"]["code"] == "E_AUTH"
            assert answer.headers["WWW-Authenticate"]
            assert await world.messages(project="shop") == []


async def test_the_signature_is_of_the_raw_body_not_of_its_meaning(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        signed = shop.signed(b'[{"level":"info","message":"a"}]')
        answer = await world.client.post(
            "/api/log", content=b'[{"level": "info","message":"a"}]', headers=signed
        )
        assert answer.status_code == 401


async def test_one_projects_secret_does_not_open_another(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop, other = await world.project("shop"), await world.project("other")
        mixed = Project(shop.slug, shop.project_key, other.hmac_secret)
        assert (await world.send(mixed, event())).status_code == 401


@pytest.mark.parametrize(("age", "status"), [(0, 200), (299, 200), (301, 401), (-299, 200), (-301, 401)])
async def test_a_signed_timestamp_may_be_five_minutes_old(
    open_sqlite: OpenWorld, age: int, status: int
) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        body = json.dumps([event()]).encode()
        timestamp = str(int(world.clock.now().timestamp()) - age)
        answer = await world.client.post("/api/log", content=body, headers=shop.signed(body, timestamp))
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("prefix", ["sha256=", ""])
async def test_the_prefix_and_the_case_of_a_signature_do_not_matter(
    open_sqlite: OpenWorld, prefix: str
) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        body = json.dumps([event()]).encode()
        headers = shop.signed(body)
        headers["X-Signature"] = prefix + headers["X-Signature"].upper()
        assert (await world.client.post("/api/log", content=body, headers=headers)).status_code == 200


NDJSON = b'{"level":"info","message":"one"}\n\n{"level":"warn","message":"two"}\r\n'


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("gzip", lambda body: gzip.compress(body[:20]) + gzip.compress(body[20:])),
        ("zstd", zstandard.ZstdCompressor().compress),
    ],
)
async def test_ndjson_comes_in_any_encoding(
    open_sqlite: OpenWorld, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        body = encode(NDJSON)
        headers = shop.signed(body, Content_Encoding=encoding) | {"Content-Type": "application/x-ndjson"}
        answer = await world.client.post("/api/log", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert await world.messages(project="shop", order="asc") == ["one", "two"]


BOMB = b"[" + b" " * 50_000_000 + b"]"

UNREADABLE: list[tuple[str, bytes, dict[str, str], int]] = [
    ("gzip bomb", gzip.compress(BOMB), {"Content_Encoding": "gzip"}, 413),
    ("zstd bomb", zstandard.ZstdCompressor().compress(BOMB), {"Content_Encoding": "zstd"}, 413),
    ("gzip bomb of many members", gzip.compress(b" " * 100_000) * 50, {"Content_Encoding": "gzip"}, 413),
    ("too large as it is", b"[" + b" " * (512 * 1024) + b"]", {}, 413),
    ("251 events", b"[" + b",".join([b"1"] * 251) + b"]", {}, 413),
    ("251 lines", b"1\n" * 251, {"Content_Type": "application/x-ndjson"}, 413),
    ("gzip that ends early", gzip.compress(NDJSON)[:-9], {"Content_Encoding": "gzip"}, 400),
    ("no gzip", NDJSON, {"Content_Encoding": "gzip"}, 400),
    ("no zstd", NDJSON, {"Content_Encoding": "zstd"}, 400),
    ("unknown encoding", NDJSON, {"Content_Encoding": "br"}, 415),
    ("unknown media type", b"<log/>", {"Content_Type": "application/xml"}, 415),
    ("no JSON", b"{nope", {}, 400),
    ("no UTF-8", b'["\xff"]', {}, 400),
    ("too deep", b"[" * 100_000, {}, 400),
    ("half a surrogate pair", rb'[{"level":"info","message":"\ud800"}]', {}, 400),
    ("no list", b'{"event": []}', {}, 400),
    ("a number", b"7", {}, 400),
    ("empty", b"", {}, 400),
    ("no events", b"[]", {}, 400),
    ("no lines", b"\n\n", {"Content_Type": "application/x-ndjson"}, 400),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "body", "headers", "status"), UNREADABLE, ids=[row[0] for row in UNREADABLE]
)
async def test_what_cannot_be_read_is_refused_and_nothing_is_stored(
    open_sqlite: OpenWorld, name: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        answer = await world.client.post("/api/log", content=body, headers=shop.signed(body, **headers))
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["code"]
        assert await world.messages(project="shop") == []


async def test_one_bad_event_refuses_the_batch_and_every_problem_is_told(world: World) -> None:
    shop = await world.project()
    answer = await world.send(
        shop,
        event("good"),
        {"level": "loud", "source": "x" * 65},
        7,
        event("late", ts="yesterday"),
        event("early", timestamp="2026-05-02T12:00:01Z"),
        event("old", ts=-1),
        event("fat", context={"a": "x" * 33_000}),
        event("listed", context=[1]),
        event("tagged", tags="x" * 129),
        event("", env="e" * 33, request_id="r" * 65),
    )
    assert answer.status_code == 400
    problems = {(p["index"], p["field"]) for p in answer.json()["error"]["details"]["errors"]}
    assert problems == {
        (1, "level"), (1, "message"), (1, "source"), (2, ""), (3, "ts"), (4, "timestamp"), (5, "ts"),
        (6, "context"), (7, "context"), (8, "tags"), (9, "message"), (9, "env"), (9, "request_id"),
    }  # fmt: skip
    assert await world.messages(project="shop") == []


async def test_partial_stores_what_is_good(world: World) -> None:
    shop = await world.project()
    answer = await world.send(shop, event("good"), {"level": "loud"}, path="/api/log?partial=true")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["received"], body["processed"]) == (2, 1)
    assert {(p["index"], p["field"]) for p in body["errors"]} == {(1, "level"), (1, "message")}
    assert await world.messages(project="shop") == ["good"]


async def test_what_has_no_place_of_its_own_is_kept_in_the_context(world: World) -> None:
    shop = await world.project()
    long = "m" * 1024 + "the rest"
    await world.stored(
        shop, event(long, stack="st", hostname="web-1", ctx={"stack": "mine", "a": 1}, context={"a": 2})
    )
    (found,) = await world.search(project="shop")
    assert found["message"] == "m" * 1024
    assert found["context"] == {
        "stack": "mine",
        "a": 2,
        "hostname": "web-1",
        "_stack": "st",
        "message_rest": "the rest",
    }


@pytest.mark.parametrize(
    "odd",
    [
        "nul \0 byte",
        "ünïcödé 日本語 🎉",
        "quote ' \" \\ \n\t",
        "%s ? :name $1 {}",
        "'; DROP TABLE logs_events; --",
    ],
)
async def test_any_text_comes_back_as_it_was(world: World, odd: str) -> None:
    shop = await world.project()
    await world.stored(shop, event(odd, source="s" + odd[:8], context={"key " + odd: odd}, user_id=odd))
    (found,) = await world.search(project="shop")
    assert found["message"] == odd.replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert found["context"] == {"key " + odd: odd}


async def test_a_repeated_batch_gets_the_first_answer_and_is_stored_once(world: World) -> None:
    shop = await world.project()
    first = await world.send(shop, event("once"), Idempotency_Key="k1")
    again = await world.send(shop, event("once"), Idempotency_Key="k1")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await world.messages(project="shop") == ["once"]

    other = await world.send(shop, event("another"), Idempotency_Key="k1")
    assert other.status_code == 409
    assert (await world.send(shop, event(), Idempotency_Key="k\tk")).status_code == 400


async def test_repeated_batches_that_meet_are_stored_once(world: World) -> None:
    shop = await world.project()
    answers = await asyncio.gather(*(world.send(shop, event("once"), Idempotency_Key="k") for _ in range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert await world.messages(project="shop") == ["once"]


async def test_an_idempotency_key_is_its_projects_own_and_ends_after_a_day(world: World) -> None:
    shop, other = await world.project("shop"), await world.project("other")
    for project in (shop, other):
        assert (await world.send(project, event("a"), Idempotency_Key="k")).json()["processed"] == 1
    assert await world.messages() == ["a", "a"]
    world.clock.offset += 24 * 3600 + 1
    assert (await world.send(shop, event("b"), Idempotency_Key="k")).status_code == 200
    assert await world.messages(project="shop") == ["b", "a"]


async def test_a_refused_batch_does_not_take_its_idempotency_key(world: World) -> None:
    shop = await world.project()
    assert (await world.send(shop, {"level": "x"}, Idempotency_Key="k")).status_code == 400
    assert (await world.send(shop, event("good"), Idempotency_Key="k")).status_code == 200


async def test_an_acknowledged_batch_is_in_the_file_before_the_answer(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        await world.stored(shop, event("kept"))
    async with open_sqlite() as again:
        assert await again.messages(q="kept") == ["kept"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_told_which_there_are(open_sqlite: OpenWorld, method: str) -> None:
    async with open_sqlite() as world:
        answer = await world.client.request(method, "/api/log")
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "POST, GET, HEAD"


async def test_the_counters_tell_what_became_of_batches(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        shop = await world.project()
        await world.stored(shop, event(), event())
        await world.send(shop, 7)
        await world.client.post("/api/log", content=b"[]", headers={"X-Project-Key": "a", "X-Signature": "b"})
        text = (await world.client.get("/metrics")).text
        assert 'runstead_logs_batches_total{outcome="stored"} 1.0' in text
        assert 'runstead_logs_batches_total{outcome="invalid"} 1.0' in text
        assert 'runstead_logs_batches_total{outcome="refused"} 1.0' in text
        assert "runstead_logs_events_total 2.0" in text


async def test_the_hints_are_cached_for_five_minutes_and_have_an_etag(open_sqlite: OpenWorld) -> None:
    async with open_sqlite(sample_debug=0.25) as world:
        first = await world.client.get("/config")
        assert first.status_code == 200
        assert first.headers["Cache-Control"] == "public, max-age=300"
        assert first.json()["sampling"]["debug"] == 0.25
        assert first.json()["batch"]["events_max"] == 250
        same = await world.client.get("/config", headers={"If-None-Match": first.headers["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
        other = await world.client.get("/config", headers={"If-None-Match": '"old"'})
        assert other.status_code == 200
