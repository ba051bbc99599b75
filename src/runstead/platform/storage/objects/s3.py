"""Objects in an S3-compatible store."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import MemoryStore, S3Store

from runstead.kernel.ids import new_id
from runstead.platform.storage.objects.base import (
    CONTENT_TYPE,
    LIST_OBJECTS_MAX,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    ObjectsUnavailableError,
)
from runstead.platform.storage.objects.keys import check_key, check_prefix

T = TypeVar("T")

#: The user metadata that tells our own put, which was retried after its answer was lost, from somebody else's.
PUT_ID: Final = "runstead-put"


class S3Objects:
    """Objects in a bucket, through obstore.

    Guarantee: ``create`` is one conditional put (``If-None-Match: *``), so of several at once the store lets one win.
    Failure: connections and 5xx answers are retried by obstore. A put whose answer was lost may then be told that the object
    exists; each put carries an id in the object's metadata, and when it is our own, the put did succeed.
    Why not a check and then a put: two writers can both see nothing there.
    """

    def __init__(self, store: S3Store | MemoryStore) -> None:
        self._store = store

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The store of ``s3://bucket/prefix``; credentials, region and endpoint come from the ``AWS_*`` variables.

        :raises ValueError: the URL names no bucket.
        """
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise ValueError("an S3 URL reads s3://bucket or s3://bucket/prefix")
        prefix = parts.path.strip("/") or None
        return cls(S3Store(parts.netloc, prefix=prefix, config={"conditional_put": "etag"}))

    async def create(self, key: str, data: bytes, *, content_type: str = CONTENT_TYPE) -> None:
        put_id = new_id()
        attributes = {"Content-Type": content_type, PUT_ID: put_id}
        put = obstore.put_async(self._store, check_key(key), data, mode="create", attributes=attributes)
        try:
            await _translated(put)
        except ObjectExistsError:
            if await self._put_id(key) != put_id:
                raise

    async def replace(self, key: str, data: bytes) -> None:
        # In one part: a replaced object is a pointer, and parts would leave remains behind when they fail.
        await _translated(obstore.put_async(self._store, check_key(key), data, use_multipart=False))

    async def get(self, key: str) -> bytes:
        result = await _translated(obstore.get_async(self._store, check_key(key)))
        return bytes(await _translated(result.bytes_async()))

    async def head(self, key: str) -> ObjectInfo | None:
        try:
            return _info(await _translated(obstore.head_async(self._store, check_key(key))))
        except ObjectMissingError:
            return None

    async def list(
        self, prefix: str, *, after: str | None = None, limit: int = LIST_OBJECTS_MAX
    ) -> list[ObjectInfo]:
        check_prefix(prefix)
        wanted = max(1, min(limit, LIST_OBJECTS_MAX))
        # obstore takes whole parts of a path as a prefix; the rest is compared here.
        folder = prefix.rpartition("/")[0] or None
        found: list[ObjectInfo] = []
        stream = obstore.list(self._store, folder, offset=after, chunk_size=LIST_OBJECTS_MAX)
        while len(found) < wanted:
            try:
                chunk = await _translated(anext(stream))
            except StopAsyncIteration:
                break
            found += [_info(one) for one in chunk if one["path"].startswith(prefix)]
            if chunk and chunk[-1]["path"] > prefix and not chunk[-1]["path"].startswith(prefix):
                break
        return found[:wanted]

    async def delete(self, key: str) -> None:
        try:
            await _translated(obstore.delete_async(self._store, check_key(key)))
        except ObjectMissingError:
            return

    async def _put_id(self, key: str) -> str | None:
        result = await _translated(obstore.get_async(self._store, key, options={"head": True}))
        return dict(result.attributes).get(PUT_ID)


async def _translated(call: Awaitable[T]) -> T:
    try:
        return await call
    except exceptions.AlreadyExistsError as error:
        raise ObjectExistsError from error
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise ObjectMissingError from error
    except (exceptions.BaseError, OSError) as error:
        raise ObjectsUnavailableError from error


def _info(meta: Any) -> ObjectInfo:
    return ObjectInfo(
        key=meta["path"], size=meta["size"], etag=meta["e_tag"] or "", modified=meta["last_modified"]
    )
