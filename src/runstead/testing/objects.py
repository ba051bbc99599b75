"""An object store in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from runstead.kernel.clock import Clock, SystemClock
from runstead.platform.storage.objects import (
    CONTENT_TYPE,
    LIST_OBJECTS_MAX,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    check_key,
    check_prefix,
)


@dataclass(frozen=True, slots=True)
class _Stored:
    data: bytes
    modified: datetime
    version: int


class MemoryObjects:
    """Behaves as the folder store does, and forgets everything with the process."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._stored: dict[str, _Stored] = {}
        self._versions = 0

    async def create(self, key: str, data: bytes, *, content_type: str = CONTENT_TYPE) -> None:
        if check_key(key) in self._stored:
            raise ObjectExistsError
        self._store(key, data)

    async def replace(self, key: str, data: bytes) -> None:
        self._store(check_key(key), data)

    async def get(self, key: str) -> bytes:
        found = self._stored.get(check_key(key))
        if found is None:
            raise ObjectMissingError
        return found.data

    async def head(self, key: str) -> ObjectInfo | None:
        found = self._stored.get(check_key(key))
        return None if found is None else _info(key, found)

    async def list(
        self, prefix: str, *, after: str | None = None, limit: int = LIST_OBJECTS_MAX
    ) -> list[ObjectInfo]:
        check_prefix(prefix)
        keys = sorted(key for key in self._stored if key.startswith(prefix) and key > (after or ""))
        return [_info(key, self._stored[key]) for key in keys[: max(1, min(limit, LIST_OBJECTS_MAX))]]

    async def delete(self, key: str) -> None:
        self._stored.pop(check_key(key), None)

    def _store(self, key: str, data: bytes) -> None:
        if any(other.startswith(f"{key}/") or key.startswith(f"{other}/") for other in self._stored):
            raise ObjectExistsError("a part of this key is an object already, or it is the folder of one")
        self._versions += 1
        self._stored[key] = _Stored(bytes(data), self._clock.now(), self._versions)


def _info(key: str, stored: _Stored) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=len(stored.data),
        etag=f"{stored.version:x}-{hashlib.sha256(stored.data).hexdigest()[:16]}",
        modified=stored.modified,
    )
