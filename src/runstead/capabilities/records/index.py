"""What makes records findable: small objects beside them, all of which can be rebuilt from the records alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from runstead.capabilities.records.errors import InvalidRecordError
from runstead.capabilities.records.keys import (
    Layout,
    date_of_run,
    entry_name,
    is_entry_name,
    is_received_since,
    name_before,
)
from runstead.capabilities.records.model import Scope
from runstead.kernel.clock import parse_rfc3339
from runstead.platform.storage.objects import ObjectExistsError, ObjectMissingError, Objects

#: Entries of one page that are read at the same time.
READS_AT_ONCE_MAX: Final = 32

_CONTENT_TYPE: Final = "application/json"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a list of runs."""

    run_id: str
    received_at: str
    sha256: str
    #: The key of the record.
    location: str
    commit_sha: str | None = None
    generated_at: str | None = None

    @property
    def name(self) -> str:
        """Its name in the indexes."""
        return entry_name(parse_rfc3339(self.received_at), self.run_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some runs, the newest first. ``next_cursor`` is None on the last page."""

    runs: Sequence[Entry]
    next_cursor: str | None


def entry_of(envelope: dict[str, Any]) -> Entry:
    """The entry of an envelope."""
    return Entry(
        run_id=envelope["run_id"],
        received_at=envelope["received_at"],
        sha256=envelope["sha256"],
        location=envelope["key"],
        commit_sha=envelope.get("commit_sha"),
        generated_at=envelope.get("generated_at"),
    )


class Index:
    """Writes and reads what lies beside the records.

    Guarantee: a record is acknowledged after its entries are durable, so that a crash in between hits nobody who was told
    that the record is there; sending it again, or ``reindex``, adds what is missing. An entry follows from its record, so
    that writing it again changes nothing unless it was broken.
    """

    def __init__(self, objects: Objects, layout: Layout) -> None:
        self._objects = objects
        self._layout = layout

    async def claim_date(self, scope: Scope, run_id: str, proposed: str) -> str:
        """The date under which this run is kept: that of its id, or else what the first who asked has proposed.

        It fixes where the record goes, not what it says: of two that send the same run, the record's own creation
        decides. A claim without a record is harmless.
        """
        date = await self.date_of(scope, run_id)
        if date is not None:
            return date
        try:
            await self._objects.create(
                self._layout.run_date(scope, run_id),
                _claim(proposed),
                content_type=_CONTENT_TYPE,
            )
        except ObjectExistsError:
            return await self.date_of(scope, run_id) or proposed
        return proposed

    async def date_of(self, scope: Scope, run_id: str) -> str | None:
        """The date under which this run is kept; None when nobody has sent it."""
        date = date_of_run(run_id)
        if date is not None:
            return date
        try:
            claim: dict[str, str] = json.loads(await self._objects.get(self._layout.run_date(scope, run_id)))
        except ObjectMissingError:
            return None
        return claim["date"]

    async def restore_date(self, scope: Scope, run_id: str, date: str) -> None:
        """Write down the date under which a run is kept, as its record's key tells it."""
        if date_of_run(run_id) is not None:
            return
        key = self._layout.run_date(scope, run_id)
        try:
            if await self._objects.get(key) == _claim(date):
                return
        except ObjectMissingError:
            pass
        await self._objects.replace(key, _claim(date))

    async def add(self, scope: Scope, entry: Entry) -> None:
        """See to it that a new record is found by time and by commit."""
        await asyncio.gather(*(self._create(key, entry) for key in self._keys(scope, entry)))

    async def restore(self, scope: Scope, entry: Entry) -> None:
        """The same for a record that has been there before: look first, and replace what is broken."""
        await asyncio.gather(*(self._restore(key, entry) for key in self._keys(scope, entry)))

    def _keys(self, scope: Scope, entry: Entry) -> set[str]:
        return {self._key(scope, commit_sha, entry.name) for commit_sha in (None, entry.commit_sha)}

    def _key(self, scope: Scope, commit_sha: str | None, name: str) -> str:
        """Where an entry lies in the index of a commit, or in that of all."""
        if commit_sha is None:
            return self._layout.time(scope, name)
        return self._layout.commit(scope, commit_sha, name)

    async def _create(self, key: str, entry: Entry) -> None:
        try:
            await self._objects.create(key, msgspec.json.encode(entry), content_type=_CONTENT_TYPE)
        except ObjectExistsError:
            await self._restore(key, entry)

    async def _restore(self, key: str, entry: Entry) -> None:
        if await self._read(key) != entry:
            await self._objects.replace(key, msgspec.json.encode(entry))

    async def newest(self, scope: Scope) -> Entry | None:
        """The entry of the record that was received last."""
        listed = await self._objects.list(self._layout.times(scope), limit=1)
        return await self._read(listed[0].key) if listed else None

    async def page(
        self,
        scope: Scope,
        *,
        commit_sha: str | None,
        since: datetime | None,
        until: datetime | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        """Entries received at ``since`` or later and before ``until``, the newest first.

        :raises InvalidRecordError: when the cursor is none of ours.
        """
        if cursor is not None and not is_entry_name(cursor):
            raise InvalidRecordError([("cursor", "allowed: next_cursor of an earlier page")])
        prefix = self._layout.commits(scope, commit_sha) if commit_sha else self._layout.times(scope)
        starts = [name for name in (cursor, name_before(until) if until else None) if name is not None]
        after = self._key(scope, commit_sha, max(starts)) if starts else None
        listed = await self._objects.list(prefix, after=after, limit=limit + 1)
        keys = [info.key for info in listed if _is_since(info.key, since)]
        more = len(keys) > limit
        return Page(
            runs=await self._read_all(keys[:limit]), next_cursor=_name(keys[limit - 1]) if more else None
        )

    async def _read_all(self, keys: Sequence[str]) -> list[Entry]:
        slots = asyncio.Semaphore(READS_AT_ONCE_MAX)

        async def read(key: str) -> Entry | None:
            async with slots:
                return await self._read(key)

        return [entry for entry in await asyncio.gather(*map(read, keys)) if entry is not None]

    async def _read(self, key: str) -> Entry | None:
        try:
            return msgspec.json.decode(await self._objects.get(key), type=Entry)
        except (ObjectMissingError, msgspec.MsgspecError):
            # A helper that is gone or broken is as good as none: reindex brings it back.
            return None


def _claim(date: str) -> bytes:
    return json.dumps({"date": date}).encode()


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _is_since(key: str, since: datetime | None) -> bool:
    name = _name(key)
    return is_entry_name(name) and (since is None or is_received_since(name, since))
