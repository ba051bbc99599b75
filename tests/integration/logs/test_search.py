"""Searching: filters, words, pages, and who may."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.logs.conftest import World, event, open_world

from runstead.testing.scenario import AS_ADMINISTRATOR, AS_ANYONE, AS_OPERATOR, Scenario

OpenWorld = Callable[..., AbstractAsyncContextManager[World]]

READING = [
    Scenario(name="nobody", url="/api/log", status=401, headers=AS_ANYONE),
    Scenario(name="wrong token", url="/api/log", status=401, headers={"Authorization": "Bearer no"}),
    Scenario(name="operator", url="/api/log", status=200, headers=AS_OPERATOR, contains=['"logs"']),
    Scenario(name="administrator", url="/api/log", status=200, headers=AS_ADMINISTRATOR),
    Scenario(name="no such project", url="/api/log?project=nope", status=404, headers=AS_OPERATOR),
]


@pytest.mark.parametrize("scenario", READING, ids=str)
async def test_reading_needs_a_credential(open_sqlite: OpenWorld, scenario: Scenario) -> None:
    async with open_sqlite() as world:
        await scenario.run(world.client)


async def test_a_projects_key_reads_its_own_events_and_no_others(world: World) -> None:
    shop, other = await world.project("shop"), await world.project("other")
    await world.stored(shop, event("ours"))
    await world.stored(other, event("theirs"))
    own = await world.client.get("/api/log", headers=shop.signed(b""))
    assert [one["message"] for one in own.json()["logs"]] == ["ours"]
    assert (await world.client.get("/api/log?project=shop", headers=shop.signed(b""))).status_code == 200
    assert (await world.client.get("/api/log?project=other", headers=shop.signed(b""))).status_code == 403
    assert (await world.client.get("/api/log", headers=shop.signed(b"x"))).status_code == 401


async def fill(world: World) -> None:
    shop = await world.project()
    await world.stored(
        shop,
        event("a", level="debug", source="web", env="dev", ts="2026-04-30T10:00:00Z", request_id="r1"),
        event("b", level="info", source="web", ts="2026-04-30T11:00:00Z", user_id="u1", tags="x,y"),
        event("c", level="warn", source="job", ts="2026-04-30T12:00:00Z", tags="y", request_id="r1"),
        event("d", level="error", source="job", ts="2026-04-30T13:00:00Z", tags="xy"),
        event("e", level="fatal", source="job", ts="2026-04-30T14:00:00+00:00"),
    )


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "edcba"),
    ({"order": "asc"}, "abcde"),
    ({"level": "error"}, "d"),
    ({"level": ["error", "info"]}, "db"),
    ({"level": "error,info"}, "db"),
    ({"min_level": "warn"}, "edc"),
    ({"min_level": "debug"}, "edcba"),
    ({"level": "info", "min_level": "warn"}, ""),
    ({"source": "web"}, "ba"),
    ({"env": "dev"}, "a"),
    ({"request_id": "r1"}, "ca"),
    ({"user_id": "u1"}, "b"),
    ({"tags": "x"}, "b"),
    ({"tags": "y"}, "cb"),
    ({"tags": "x,y"}, "b"),
    ({"tags": "%"}, ""),
    ({"since": "2026-04-30T12:00:00Z"}, "edc"),
    ({"since": "2026-04-30T14:00:00+02:00"}, "edc"),
    ({"until": "2026-04-30T12:00:00Z"}, "ba"),
    ({"since": "1777550400000", "until": "1777554000001"}, "dc"),
    ({"limit": "2"}, "ed"),
]


async def test_every_filter_finds_what_it_says(world: World) -> None:
    await fill(world)
    for params, expected in FILTERS:
        assert "".join(await world.messages(project="shop", **params)) == expected, params


async def test_fingerprint_and_group_find_what_is_alike(world: World) -> None:
    shop = await world.project()
    await world.stored(shop, event("user 17 not found"), event("user 18 not found"), event("disk full"))
    seventeen = (await world.search(q="17"))[0]
    assert await world.messages(fingerprint=seventeen["fingerprint"]) == ["user 17 not found"]
    assert await world.messages(group=seventeen["group"]) == ["user 18 not found", "user 17 not found"]


BAD_PARAMETERS = [
    "level=loud", "level=", "min_level=ERROR", "source=", "source=" + "s" * 65, "env=" + "e" * 33, "fingerprint=abc",
    "group=" + "g" * 40, "request_id=", "since=yesterday", "until=2026-01-01", "until=2026-01-01T00:00:00", "order=up",
    "limit=0", "limit=1001", "limit=x", "limit=-1", "cursor=abc", "cursor=", "project=No", "tags=,", "q=" + "q" * 513,
    "nope=1", "limit=1&limit=2",
]  # fmt: skip


@pytest.mark.parametrize("query", BAD_PARAMETERS)
async def test_a_bad_parameter_is_named(open_sqlite: OpenWorld, query: str) -> None:
    async with open_sqlite() as world:
        answer = await world.admin("GET", f"/api/log?{query}")
        assert answer.status_code == 400
        (problem,) = answer.json()["error"]["details"]["errors"]
        assert problem["field"] == query.partition("=")[0]
        assert problem["message"]


TEXTS = {
    "pay": "payment ord_1742 REFUSED by bank-7",
    "uuid": "trace 01890a5d-ac96-774b-bcce-b302099a8057 lost",
    "file": "cannot open /srv/app/views/checkout.py: No such file",
    "mail": "mail to bob.smith@example.com bounced",
    "word": "Größe überschritten: Straße",
    "cjk": "支払い 失敗",
}
WORDS: list[tuple[str, set[str]]] = [
    ("payment", {"pay"}),
    ("PAYMENT refused", {"pay"}),
    ("refused payment", {"pay"}),
    ("payment lost", set()),
    ("pay", {"pay"}),
    ("yment", set()),
    ("ord_17", {"pay"}),
    ("1742", {"pay"}),
    ("bank-7", {"pay"}),
    ("01890a5d-ac96", {"uuid"}),
    ("774b-bc", {"uuid"}),
    ("01890a5d-ac96-774b-bcce-b302099a8057", {"uuid"}),
    ("774b-ac96", set()),
    ("checkout.py", {"file"}),
    ("/srv/app", {"file"}),
    ("app/checkout", set()),
    ("bob.smith@example.com", {"mail"}),
    ("example", {"mail"}),
    ('"cannot open"', {"file"}),
    ('"open cannot"', set()),
    ("open cannot", {"file"}),
    ("größe", {"word"}),
    ("stra", {"word"}),
    ("支払", {"cjk"}),
    ("hidden", {"pay"}),
    ("deeply", {"pay"}),
    ("KeyError", {"uuid"}),
    ("handler", {"uuid"}),
    ("new", {"file"}),
]


async def test_words_and_parts_of_ids_are_found_in_message_and_context(world: World) -> None:
    shop = await world.project()
    more: dict[str, dict[str, Any]] = {
        "pay": {"context": {"note": {"hidden": ["deeply"]}}},
        "uuid": {"stack": 'Traceback:\n\tFile "x.py", in handler\nKeyError: 1'},
        "file": {"context": {"path": "C:\\new\\table"}},
    }
    await world.stored(
        shop, *(event(text, source=name, **more.get(name, {})) for name, text in TEXTS.items())
    )
    for q, expected in WORDS:
        assert {one["source"] for one in await world.search(q=q)} == expected, q


NASTY = [
    '"', '""', '"open', "'", "''", "*", "%", "_", "?", "a*", "*a", "a AND", "AND OR NOT", "NEAR(a b)", "message:a", "a -b", "^a",
    "(", ")", "a)b(", "{a}", "+", "a + b", ":", "::", "a:*", "'a' | 'b'", "a & b", "!a", "<->", "\\", "a\\", "'; DROP TABLE",
    "\0", "a\0b",
    "\ud7ff\ufffd", "🎉", "\u200b", "-", "--", "/*", "a.b", "\N{COMBINING ACUTE ACCENT}", "1e5", "0x1f", "1.5", "²", "ª",
]  # fmt: skip


async def test_no_sign_in_a_search_is_an_operator(world: World) -> None:
    shop = await world.project()
    await world.stored(shop, event("100% of a* is (a AND b)"), event("plain"))
    for q in NASTY:
        answer = await world.admin("GET", "/api/log", params={"q": q})
        assert answer.status_code == 200, (q, answer.text)
    assert await world.messages(q="%") == ["100% of a* is (a AND b)"]
    assert await world.messages(q="*") == ["100% of a* is (a AND b)"]
    assert await world.messages(q="_") == []
    assert await world.messages(q="AND plain") == []
    assert await world.messages(q="NOT plain") == []
    assert await world.messages(q="and") == ["100% of a* is (a AND b)"]


async def test_any_text_can_be_searched_for(world: World) -> None:
    await world.stored(await world.project(), event("something"))
    # Collected first: the world lives on one event loop, and each of hypothesis' examples would be given its own.
    examples: list[str] = []
    texts = st.text(st.characters(codec="utf-8"), max_size=40)

    def collect(text: str) -> None:
        examples.append(text)

    settings(max_examples=100, database=None)(given(texts)(collect))()
    for q in examples:
        answer = await world.admin("GET", "/api/log", params={"q": q})
        assert answer.status_code == 200, (q, answer.text)


async def test_every_event_is_on_one_page_once_whatever_is_inserted_meanwhile(world: World) -> None:
    shop = await world.project()
    # Many of one moment, so that the time alone is no order.
    first = [event(f"m{number:03}", ts=1_777_000_000_000 + number // 10) for number in range(120)]
    await world.stored(shop, *first)
    for order in ("asc", "desc"):
        seen: list[dict[str, Any]] = []
        params: dict[str, Any] = {"project": "shop", "order": order, "limit": 7, "until": 1_777_000_000_012}
        while True:
            page = (await world.admin("GET", "/api/log", params=params)).json()
            seen += page["logs"]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
            # Before, at and behind the place of the cursor. Few enough that the pages come to an end.
            await world.stored(shop, event("late", ts=1_777_000_000_000 + len(seen) % 12))
        assert len({one["id"] for one in seen}) == len(seen)
        places = [one["ts"] for one in seen]
        assert places == sorted(places, reverse=order == "desc")
        assert [one["message"] for one in seen if one["message"] != "late"] == sorted(
            (one["message"] for one in first), reverse=order == "desc"
        )


@given(
    moments=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    limit=st.integers(1, 7),
    order=st.sampled_from(["asc", "desc"]),
)
@settings(max_examples=25, deadline=None)
def test_pages_together_are_the_whole_in_order(moments: list[int], limit: int, order: str) -> None:
    async def read() -> tuple[list[str], list[str]]:
        with tempfile.TemporaryDirectory() as folder:
            async with open_world(f"sqlite:///{folder}/database.db") as world:
                shop = await world.project()
                await world.stored(shop, *(event(str(n), ts=at) for n, at in enumerate(moments)))
                whole = await world.messages(order=order, limit=1000)
                pages: list[str] = []
                params: dict[str, Any] = {"order": order, "limit": limit}
                while True:
                    page = (await world.admin("GET", "/api/log", params=params)).json()
                    assert len(page["logs"]) <= limit
                    pages += [one["message"] for one in page["logs"]]
                    if page["next_cursor"] is None:
                        return whole, pages
                    params["cursor"] = page["next_cursor"]

    whole, pages = asyncio.run(read())
    expected = sorted(range(len(moments)), key=lambda n: (moments[n], n), reverse=order == "desc")
    assert pages == whole == [str(n) for n in expected]


async def test_the_last_page_has_no_cursor(world: World) -> None:
    shop = await world.project()
    await world.stored(shop, *(event(str(n)) for n in range(4)))
    page = (await world.admin("GET", "/api/log?limit=4")).json()
    assert (len(page["logs"]), page["limit"], page["next_cursor"]) == (4, 4, None)


@pytest.mark.parametrize("cursor", ["0" * 16 + "-" + "0" * 16, "f" * 16 + "-" + "f" * 16])
async def test_any_well_formed_cursor_is_a_place(world: World, cursor: str) -> None:
    await world.stored(await world.project(), event())
    for order in ("asc", "desc"):
        answer = await world.admin("GET", f"/api/log?cursor={cursor}&order={order}")
        assert answer.status_code == 200


async def test_what_was_acknowledged_is_found_by_the_next_search(world: World) -> None:
    shop = await world.project()
    for number in range(20):
        await world.stored(shop, event(f"word{number}x"))
        assert await world.messages(q=f"word{number}x") == [f"word{number}x"]


async def test_searches_beside_many_batches_find_what_they_should(world: World) -> None:
    shop = await world.project(minute_cap=100_000)

    async def send_and_find(number: int) -> None:
        await world.stored(shop, *(event(f"needle{number}x straw{n}") for n in range(100)))
        assert len(await world.search(q=f"needle{number}x", limit=1000)) == 100

    await asyncio.gather(*(send_and_find(number) for number in range(12)))


async def test_an_export_has_every_event_on_a_line_of_its_own(world: World) -> None:
    shop = await world.project(minute_cap=100_000)
    for start in range(0, 2250, 250):
        await world.stored(shop, *(event(f"m{n}", context={"n": n}) for n in range(start, start + 250)))
    answer = await world.admin(
        "GET", "/api/log?order=asc&limit=5", headers={"Accept": "application/x-ndjson"}
    )
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["context"]["n"] for line in lines] == list(range(2250))
    none = await world.admin("GET", "/api/log?q=absent", headers={"Accept": "application/x-ndjson"})
    assert (none.status_code, none.content) == (200, b"")


async def test_head_answers_as_get_without_a_body(open_sqlite: OpenWorld) -> None:
    async with open_sqlite() as world:
        answer = await world.admin("HEAD", "/api/log")
        assert (answer.status_code, answer.content) == (200, b"")
