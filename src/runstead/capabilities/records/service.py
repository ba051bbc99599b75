"""The use cases: take a record in, find it, rebuild what makes it findable. No HTTP, no SQL, no state of its own."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runstead.capabilities.records.errors import NoRecordError, RunConflictError
from runstead.capabilities.records.figures import Figures, Outcome
from runstead.capabilities.records.index import Entry, Index, Page, entry_of
from runstead.capabilities.records.keys import Layout
from runstead.capabilities.records.latest import LatestPointers
from runstead.capabilities.records.model import (
    Accepted,
    Scope,
    Submission,
    normalise,
    open_envelope,
    parse_document,
    seal,
)
from runstead.capabilities.records.reindex import Progress, Rebuild
from runstead.kernel.clock import Clock, rfc3339
from runstead.kernel.errors import RunsteadError
from runstead.kernel.ids import new_id
from runstead.kernel.limits import KIB
from runstead.platform.storage.objects import ObjectExistsError, ObjectMissingError, Objects

#: Bodies from this size on are read in a thread, so that one of 10 MiB does not hold up everybody else.
THREAD_BYTES_MIN: Final = 128 * KIB

#: Large bodies that are read at the same time; each takes several times its size in memory.
LARGE_AT_ONCE_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is kept: its bytes, and their hex SHA-256 for the ETag."""

    data: bytes
    etag: str


class RecordsService:
    """Records are written once, under a key that follows from the run, and never changed.

    Guarantee: an accepted record is durable and can be found; of several different documents for one run exactly one is
    ever accepted, also among servers that share a store, for the create-only write of the record decides. Failure: when the
    store fails after the record is written, the sender gets 503; sending it again completes the rest and answers "duplicate".
    Nothing that matters is held between two calls, so that a function that lives for one request can use it as well: it calls
    :meth:`flush` at the end, where a server keeps :meth:`opened` open.
    """

    def __init__(
        self,
        *,
        objects: Objects,
        layout: Layout,
        clock: Clock,
        figures: Figures | None = None,
    ) -> None:
        self._objects = objects
        self._layout = layout
        self._clock = clock
        self.figures = figures or Figures()
        self._index = Index(objects, layout)
        self._latest = LatestPointers(objects, layout, self._index, clock)
        self._rebuild = Rebuild(objects, layout, self._index, self._latest)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE_MAX)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Keep ``latest.json`` up to date in the background until the end."""
        async with self._latest.kept():
            yield

    async def flush(self) -> None:
        """Bring every ``latest.json`` up to date now."""
        await self._latest.flush()

    async def ingest_body(self, body: bytes, *, actor: str) -> Accepted:
        """Take in what came over the wire. Raises as :meth:`ingest` does."""
        if len(body) < THREAD_BYTES_MIN:
            return await self._counted(_read(body), len(body), actor)
        async with self._large:
            return await self._counted(await asyncio.to_thread(_read, body), len(body), actor)

    async def ingest(self, document: Mapping[str, Any], *, actor: str) -> Accepted:
        """Take in a document. Doing it again with the same content changes nothing.

        :param actor: who sends it, for the envelope.
        :raises InvalidRecordError: it breaks a rule.
        :raises RecordTooLargeError: it is too large.
        :raises RunConflictError: this run has another record.
        :raises ObjectsUnavailableError: the store fails; send it again.
        """
        return await self._counted(_normalised(document), 0, actor)

    async def _counted(self, submission: Submission | RunsteadError, size: int, actor: str) -> Accepted:
        if isinstance(submission, RunsteadError):
            self.figures.count(Outcome.INVALID)
            raise submission
        with self.figures.timed():
            try:
                accepted = await self._store(submission, actor)
            except RunConflictError:
                self.figures.count(Outcome.CONFLICT)
                raise
        self.figures.count(Outcome.DUPLICATE if accepted.duplicate else Outcome.ACCEPTED, size)
        return accepted

    async def _store(self, submission: Submission, actor: str) -> Accepted:
        scope, run_id, now = submission.scope, submission.run_id, self._clock.now()
        proposed = (submission.generated_at or rfc3339(now))[:10]
        date = await self._index.claim_date(scope, run_id, proposed)
        key = self._layout.record(scope, run_id, date)
        data = seal(submission, key=key, received_at=now, sent_by=actor)
        try:
            await self._objects.create(key, data, content_type="application/json")
        except ObjectExistsError:
            return await self._again(submission, key)
        entry = Entry(
            run_id=run_id,
            received_at=rfc3339(now),
            sha256=submission.sha256,
            location=key,
            commit_sha=submission.commit_sha,
            generated_at=submission.generated_at,
        )
        await self._index.add(scope, entry)
        self._latest.mark(scope)
        return Accepted(scope=scope, run_id=run_id, location=key, duplicate=False)

    async def _again(self, submission: Submission, key: str) -> Accepted:
        """There is a record of this run. Its sender may have been cut off before it was indexed."""
        envelope = open_envelope(await self._objects.get(key))
        if envelope["sha256"] != submission.sha256:
            raise RunConflictError(details={"run_id": submission.run_id, "location": key})
        await self._index.restore(submission.scope, entry_of(envelope))
        self._latest.mark(submission.scope)
        return Accepted(scope=submission.scope, run_id=submission.run_id, location=key, duplicate=True)

    async def read(self, scope: Scope, run_id: str) -> Stored:
        """The record of a run.

        :raises NoRecordError: there is none.
        """
        date = await self._index.date_of(scope, run_id)
        if date is None:
            raise NoRecordError
        return await self._stored(self._layout.record(scope, run_id, date))

    async def latest(self, scope: Scope) -> Stored:
        """The record that was received last.

        :raises NoRecordError: the service has none.
        """
        entry = await self._index.newest(scope)
        if entry is None:
            raise NoRecordError
        return await self._stored(entry.location)

    async def _stored(self, key: str) -> Stored:
        try:
            data = await self._objects.get(key)
        except ObjectMissingError:
            raise NoRecordError from None
        return Stored(data, hashlib.sha256(data).hexdigest())

    async def runs(
        self,
        scope: Scope,
        *,
        commit_sha: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> Page:
        """Runs of a service, the newest first: received at ``since`` or later and before ``until``.

        :raises InvalidRecordError: when the cursor is none of ours.
        """
        return await self._index.page(
            scope, commit_sha=commit_sha, since=since, until=until, cursor=cursor, limit=limit
        )

    async def reindex(self, *, after: str | None, limit: int) -> Progress:
        """One step of rebuilding what lies beside the records; go on until ``next_cursor`` is None."""
        return await self._rebuild.step(after=after, limit=limit)

    async def check(self) -> dict[str, Any]:
        """Whether the store works: it holds our marker, or takes it.

        :raises ObjectsUnavailableError: it does not.
        """
        if await self._objects.head(self._layout.marker) is None:
            await self._mark()
        return {"prefix": self._layout.prefix}

    async def _mark(self) -> None:
        try:
            await self._objects.create(self._layout.marker, b'{"format":"runstead-records","version":1}')
        except ObjectExistsError:
            return


def _read(body: bytes) -> Submission | RunsteadError:
    try:
        return normalise(parse_document(body), new_run_id=new_id)
    except RunsteadError as error:
        return error


def _normalised(document: Mapping[str, Any]) -> Submission | RunsteadError:
    try:
        return normalise(document, new_run_id=new_id)
    except RunsteadError as error:
        return error
