"""What every object store does: a folder, memory, the S3 driver on obstore's memory, and on a real bucket if there is one.

``RUNSTEAD_TEST_S3_URL=s3://bucket`` adds the last, with the ``AWS_*`` variables that obstore reads; moto's server will do.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from runstead.kernel.ids import new_id
from runstead.platform.storage.objects import (
    ObjectExistsError,
    ObjectKeyError,
    ObjectMissingError,
    Objects,
    open_objects,
)
from runstead.platform.storage.objects.s3 import S3Objects
from runstead.testing.objects import MemoryObjects

S3_URL = os.environ.get("RUNSTEAD_TEST_S3_URL")


@pytest.fixture(params=["folder", "memory", "s3-driver", *(["s3-bucket"] if S3_URL else [])])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    kinds: dict[str, Any] = {
        "folder": lambda: open_objects(str(tmp_path / "objects")),
        "memory": MemoryObjects,
        "s3-driver": lambda: S3Objects(MemoryStore()),
        "s3-bucket": lambda: open_objects(f"{S3_URL}/{new_id()}"),
    }
    made: Objects = kinds[request.param]()
    return made


async def keys(store: Objects, prefix: str = "", **more: Any) -> list[str]:
    return [one.key for one in await store.list(prefix, **more)]


async def test_what_was_created_can_be_read(store: Objects) -> None:
    await store.create("a/b.json", b"content", content_type="application/json")
    assert await store.get("a/b.json") == b"content"


async def test_an_empty_object_is_an_object(store: Objects) -> None:
    await store.create("empty", b"")
    assert await store.get("empty") == b""
    assert await keys(store) == ["empty"]


async def test_creating_again_is_refused_and_the_first_stays(store: Objects) -> None:
    await store.create("a", b"first")
    for content in (b"second", b"first"):
        with pytest.raises(ObjectExistsError) as caught:
            await store.create("a", content)
        assert caught.value.status == 409
    assert await store.get("a") == b"first"


async def test_of_32_that_create_one_key_at_once_exactly_one_wins(store: Objects) -> None:
    contents = [f"{number}".encode() * 1000 for number in range(32)]
    results = await asyncio.gather(
        *(store.create("org=x/run=1/payload.json", one) for one in contents), return_exceptions=True
    )
    winners = [content for content, result in zip(contents, results, strict=True) if result is None]
    assert len(winners) == 1
    assert all(result is None or isinstance(result, ObjectExistsError) for result in results)
    assert await store.get("org=x/run=1/payload.json") == winners[0]


async def test_different_keys_created_at_once_in_new_folders_are_all_there(store: Objects) -> None:
    await asyncio.gather(*(store.create(f"x/{n % 4}/{n}", b"%d" % n) for n in range(32)))
    assert len(await keys(store)) == 32


async def test_a_missing_object_is_missing(store: Objects) -> None:
    await store.create("a/b", b"")
    for key in ("c", "a/c", "a/b/c", "a"):
        with pytest.raises(ObjectMissingError) as caught:
            await store.get(key)
        assert caught.value.status == 404
        assert await store.head(key) is None
        await store.delete(key)
    assert await keys(store) == ["a/b"]


async def test_replacing_writes_the_whole_object_whether_or_not_there_is_one(store: Objects) -> None:
    await store.replace("latest.json", b"a longer content")
    await store.replace("latest.json", b"short")
    assert await store.get("latest.json") == b"short"


async def test_whoever_reads_while_others_replace_sees_all_of_one_of_them(store: Objects) -> None:
    contents = {bytes([65 + number]) * 50_000 for number in range(8)}
    await store.replace("x", min(contents))
    results = await asyncio.gather(
        *(store.replace("x", one) for one in contents), *(store.get("x") for _ in range(16))
    )
    assert {one for one in results if one is not None} <= contents


async def test_head_tells_size_and_time_and_an_etag_that_changes_with_the_content(store: Objects) -> None:
    await store.replace("x", b"12345")
    first = await store.head("x")
    await store.replace("x", b"54321")
    second = await store.head("x")
    assert first is not None
    assert second is not None
    assert (first.key, first.size) == ("x", 5)
    assert abs(datetime.now(UTC) - first.modified) < timedelta(minutes=5)
    assert first.etag != second.etag
    assert await store.list("") == [second]


async def test_a_deleted_object_is_gone_and_its_key_free(store: Objects) -> None:
    await store.create("a/b", b"1")
    await store.delete("a/b")
    await store.delete("a/b")
    assert await keys(store) == []
    await store.create("a/b", b"2")
    assert await store.get("a/b") == b"2"


async def test_a_listing_is_in_the_order_of_the_bytes_also_across_folders(store: Objects) -> None:
    """The slash is a byte as any other: a folder does not come before or after everything of its name."""
    made = ["B", "a+x", "a-b", "a.b", "a/b", "a/b0", "a0", "a/c/d", "b/a", "_", "a/c-d", "a/c0"]
    for key in made:
        await store.create(key, b"")
    assert await keys(store) == sorted(made)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a/1", "a/2/x", "a/22", "ab", "b"]),
        ("a", ["a/1", "a/2/x", "a/22", "ab"]),
        ("a/", ["a/1", "a/2/x", "a/22"]),
        ("a/2", ["a/2/x", "a/22"]),
        ("a/2/", ["a/2/x"]),
        ("a/2/x", ["a/2/x"]),
        ("c", []),
        ("a/1/", []),
    ],
)
async def test_a_listing_takes_any_beginning_of_a_key(
    store: Objects, prefix: str, expected: list[str]
) -> None:
    for key in ("a/1", "a/2/x", "a/22", "ab", "b"):
        await store.create(key, b"")
    assert await keys(store, prefix) == expected


async def test_a_listing_goes_on_where_the_last_page_ended(store: Objects) -> None:
    made = sorted(f"{folder}/{number}" for folder in ("a", "a-", "b/c") for number in range(5))
    for key in made:
        await store.create(key, b"")
    pages: list[str] = []
    while page := await keys(store, after=pages[-1] if pages else None, limit=4):
        assert len(page) <= 4
        pages += page
    assert pages == made
    assert await keys(store, "a/", after="a/3") == ["a/4"]
    assert await keys(store, "b", after="a/3", limit=1) == ["b/c/0"]


async def test_a_key_is_free_again_when_all_below_it_is_gone(store: Objects) -> None:
    await store.create("a/b/c", b"1")
    await store.create("a/d", b"2")
    await store.delete("a/b/c")
    await store.delete("a/d")
    await store.create("a", b"3")
    assert await store.get("a") == b"3"
    await store.delete("a")
    await store.create("a/b/c", b"4")
    assert await keys(store) == ["a/b/c"]
    await store.delete("a/b/c")
    await store.replace("a", b"5")
    assert await keys(store) == ["a"]


SEGMENTS = st.from_regex(r"[A-Za-z0-9_=@+,-][A-Za-z0-9._=@+,-]{0,6}", fullmatch=True)
KEYS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.sets(KEYS, max_size=12), prefix=KEYS | st.just(""), after=KEYS, limit=st.integers(1, 5))
async def test_any_keys_are_listed_as_sorting_them_says(
    store: Objects, wanted: set[str], prefix: str, after: str, limit: int
) -> None:
    made = []
    for key in sorted(wanted):
        try:
            await store.create(key, key.encode())
            made.append(key)
        except ObjectExistsError:  # a key that is the folder of another
            assert any(key.startswith(f"{other}/") for other in wanted)
    assert await keys(store) == sorted(made)
    expected = [key for key in sorted(made) if key.startswith(prefix) and key > after]
    assert await keys(store, prefix, after=after, limit=limit) == expected[:limit]
    for key in made:
        assert await store.get(key) == key.encode()
        await store.delete(key)
    assert await keys(store) == []


BAD_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    "..",
    "../a",
    "a/../b",
    "a/..",
    ".",
    "./a",
    ".tmp/x",
    "a/.hidden",
    "a\\b",
    "a b",
    "a\nb",
    "a\x00b",
    "a%2fb",
    "ä",
    "a?b",
    "a#b",
    "~",
    "*",
    "x" * 256,
    "/".join(["x" * 100] * 10),
]


@pytest.mark.parametrize("key", BAD_KEYS, ids=repr)
async def test_what_is_no_key_is_refused_everywhere(store: Objects, key: str) -> None:
    for call in (
        store.create(key, b""),
        store.replace(key, b""),
        store.get(key),
        store.head(key),
        store.delete(key),
    ):
        with pytest.raises(ObjectKeyError) as caught:
            await call
        assert caught.value.status == 400
    if key:
        with pytest.raises(ObjectKeyError):
            await store.list(f"{key}/" if key == "a/" else key)


@pytest.mark.parametrize("store", ["folder", "memory"], indirect=True)
async def test_a_key_that_is_the_folder_of_another_is_refused(store: Objects) -> None:
    await store.create("a/b", b"")
    for key in ("a", "a/b/c", "a/b/c/d"):
        with pytest.raises(ObjectExistsError):
            await store.create(key, b"")
        with pytest.raises(ObjectExistsError):
            await store.replace(key, b"")
    assert await keys(store) == ["a/b"]
