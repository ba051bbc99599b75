"""Rebuild what lies beside the records from the records alone."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from runstead.capabilities.records.canonical import NotCanonicalError
from runstead.capabilities.records.errors import DamagedRecordError
from runstead.capabilities.records.index import Index, entry_of
from runstead.capabilities.records.keys import Layout
from runstead.capabilities.records.latest import LatestPointers
from runstead.capabilities.records.model import Scope, content_sha256, open_envelope
from runstead.platform.storage.objects import LIST_OBJECTS_MAX, Objects

#: Records that are read at the same time.
AT_ONCE_MAX: Final = 16


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one step of a rebuild came."""

    records: int
    #: Keys of records that are not what was accepted. They are left as they are, and out of the indexes.
    damaged: list[str]
    #: Where the next step goes on; None when all is done.
    next_cursor: str | None


class Rebuild:
    """Goes through the store in the order of keys, so that it can stop anywhere and go on there.

    Safe while the server works: both would write the same.
    """

    def __init__(self, objects: Objects, layout: Layout, index: Index, latest: LatestPointers) -> None:
        self._objects = objects
        self._layout = layout
        self._index = index
        self._latest = latest

    async def step(self, *, after: str | None, limit: int) -> Progress:
        """Look at some more objects.

        :param after: ``next_cursor`` of the step before.
        :param limit: how many objects to look at, of which the records are some.
        """
        listed = await self._objects.list(
            self._layout.root, after=after, limit=max(1, min(limit, LIST_OBJECTS_MAX))
        )
        slots = asyncio.Semaphore(AT_ONCE_MAX)
        found = [(info.key, place) for info in listed if (place := self._layout.parse_record(info.key))]

        async def one(key: str, scope: Scope, run_id: str, date: str) -> str | None:
            async with slots:
                return None if await self._restore(key, scope, run_id, date) else key

        outcomes = await asyncio.gather(*(one(key, *place) for key, place in found))
        await self._latest.flush()
        return Progress(
            records=len(found),
            damaged=[key for key in outcomes if key is not None],
            next_cursor=listed[-1].key if listed else None,
        )

    async def _restore(self, key: str, scope: Scope, run_id: str, date: str) -> bool:
        """Whether the record is sound; if so, it is findable now."""
        data = await self._objects.get(key)
        try:
            envelope = open_envelope(data)
            sound = await asyncio.to_thread(content_sha256, envelope) == envelope["sha256"]
        except (DamagedRecordError, NotCanonicalError):
            return False
        if not sound or envelope["key"] != key or envelope["run_id"] != run_id:
            return False
        await self._index.restore_date(scope, run_id, date)
        await self._index.restore(scope, entry_of(envelope))
        self._latest.mark(scope)
        return True
