"""The S3 driver where the network gets between a put and its answer. The rest is in the contract suite."""

from __future__ import annotations

from typing import Any

import obstore
import pytest
from obstore import exceptions
from obstore.store import MemoryStore

from runstead.platform.storage.objects import (
    ObjectExistsError,
    ObjectMissingError,
    ObjectsUnavailableError,
    open_objects,
)
from runstead.platform.storage.objects.s3 import S3Objects

put_async = obstore.put_async


@pytest.fixture
def store() -> S3Objects:
    return S3Objects(MemoryStore())


async def test_a_put_that_was_retried_after_its_answer_was_lost_has_succeeded(
    store: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose_the_answer(*args: Any, **options: Any) -> None:
        await put_async(*args, **options)
        raise exceptions.AlreadyExistsError("412 to the second try")

    monkeypatch.setattr(obstore, "put_async", lose_the_answer)
    await store.create("a", b"x")
    assert await store.get("a") == b"x"


async def test_the_same_content_of_somebody_else_is_not_taken_for_our_own_put(store: S3Objects) -> None:
    await store.create("a", b"x")
    with pytest.raises(ObjectExistsError):
        await store.create("a", b"x")


async def test_the_content_type_is_kept(store: S3Objects) -> None:
    await store.create("a", b"{}", content_type="application/json")
    result = await obstore.get_async(store._store, "a")
    assert dict(result.attributes)["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.GenericError("500 from the store"), ObjectsUnavailableError),
        (exceptions.PermissionDeniedError("403"), ObjectsUnavailableError),
        (ConnectionError("no route"), ObjectsUnavailableError),
        (FileNotFoundError("404"), ObjectMissingError),
    ],
)
async def test_what_the_library_raises_is_translated_and_kept_as_the_cause(
    store: S3Objects, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: type[Exception]
) -> None:
    async def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(obstore, "get_async", fail)
    with pytest.raises(expected) as caught:
        await store.get("a")
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/", "s3://bucket/some/prefix"])
def test_a_bucket_is_named_with_or_without_a_prefix(url: str) -> None:
    assert isinstance(open_objects(url), S3Objects)
