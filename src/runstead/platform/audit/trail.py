"""The trail as a service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from runstead.kernel.clock import Clock, rfc3339
from runstead.platform.audit.actions import Outcome, severity_of
from runstead.platform.audit.chain import TEXT_CHARS_MAX, Entry, Stored, bounded
from runstead.platform.audit.detection import Alert, Detector
from runstead.platform.audit.settings import AuditSettings
from runstead.platform.audit.store import SIGNAL, WALK_ROWS, Filter, append, mark, read, remove_until
from runstead.platform.audit.verification import Verdict, Walk
from runstead.platform.identity.asking import asking
from runstead.platform.storage.sql import Database

log = logging.getLogger(__name__)

#: Seconds between two looks for entries that are too old.
SWEEP_SECONDS: Final = 3600.0

OnAlert = Callable[[Alert], Awaitable[None]]
Traced = Callable[[sa.Connection], None]


class Audit:
    """Who did what, when, from where.

    Guarantee: an entry is committed with the act that it tells of, or neither is; entries are numbered without gaps and
    chained, so that a changed, removed or inserted one is found by :meth:`verify`; the database refuses changes as well.
    Failure: whoever may both write to the database and read the master key can make a chain of their own. Export the trail
    to where they cannot reach.
    """

    def __init__(
        self,
        db: Database,
        *,
        key: bytes,
        settings: AuditSettings,
        clock: Clock,
        on_alert: OnAlert | None = None,
    ) -> None:
        self._db = db
        self._key = key
        self._settings = settings
        self._clock = clock
        self._on_alert = on_alert
        self._detector = Detector(settings.detection)
        self._changed = asyncio.Event()
        self._looked_until = 0

    def entry(
        self,
        action: str,
        *,
        outcome: Outcome = "success",
        actor: str | None = None,
        resource: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> Entry:
        """An entry about the present request.

        :param action: one of :data:`~runstead.platform.audit.actions.ACTIONS`.
        :raises KeyError: it is none.
        """
        who = asking()
        return Entry(
            at=rfc3339(self._clock.now()),
            action=action,
            outcome=outcome,
            severity=severity_of(action, outcome),
            actor=(actor or who.actor)[:TEXT_CHARS_MAX],
            resource=resource[:TEXT_CHARS_MAX],
            address=who.address[:TEXT_CHARS_MAX],
            request_id=who.request_id[:TEXT_CHARS_MAX],
            details=bounded(details),
        )

    def note(self, action: str, **facts: Any) -> Traced:
        """As :meth:`entry`; the result writes it in the transaction of the act."""
        entry = self.entry(action, **facts)

        def traced(connection: sa.Connection) -> None:
            append(connection, self._key, entry)

        return traced

    async def write(self, action: str, **facts: Any) -> None:
        """Write an entry about an act that has no transaction of its own."""
        await self._db.write(self.note(action, **facts))

    async def query(self, wanted: Filter, *, limit: int, before: int | None = None) -> list[Stored]:
        """Entries that fit, the newest first."""
        return await self._db.read(lambda connection: read(connection, wanted, limit=limit, before=before))

    async def export(self, wanted: Filter) -> AsyncIterator[list[Stored]]:
        """All entries that fit, the oldest first, page by page in constant memory."""
        after = 0
        while True:
            page = await self._db.read(
                lambda connection, after=after: read(connection, wanted, limit=WALK_ROWS, after=after)  # type: ignore[misc]
            )
            if page:
                yield page
                after = page[-1].seq
            if len(page) < WALK_ROWS:
                return

    async def verify(self) -> Verdict:
        """Walk the whole chain. Entries that are written meanwhile are not looked at."""
        head, checkpoint = await self._db.read(
            lambda connection: (mark(connection, "head"), mark(connection, "checkpoint"))
        )
        walk = Walk(self._key, checkpoint=checkpoint)
        async for page in self.export(Filter()):
            until = head[0] if head else 0
            if not walk.feed(one for one in page if one.seq <= until or not head):
                break
            if head and page[-1].seq >= until:
                break
        return walk.end(head)

    async def sweep(self) -> int:
        """Remove what is older than the policy says; returns how many entries are gone."""
        oldest = rfc3339(self._clock.now() - timedelta(days=self._settings.retention_days))
        traced = self.note("audit.retention", actor="server", details={"before": oldest})

        def work(connection: sa.Connection) -> int:
            # The last entry before the first one that stays: times may go back where clocks do, numbers never.
            young = read(connection, Filter(since=oldest), limit=1, after=0)
            last = read(connection, Filter(), limit=1, before=young[0].seq if young else None)
            if not last:
                return 0
            gone = remove_until(connection, self._key, last[0].seq, last[0].hash)
            if gone:
                traced(connection)
            return gone

        return await self._db.write(work)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Look out for what is wrong, and remove what is old, while the server runs."""
        loop = asyncio.get_running_loop()
        head = await self._db.read(lambda connection: mark(connection, "head"))
        self._looked_until = head[0] if head else 0

        def wake() -> None:
            loop.call_soon_threadsafe(self._changed.set)

        stop = self._db.on_commit(SIGNAL, wake)
        tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._sweep_now_and_then())]
        try:
            yield
        finally:
            stop()
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _watch(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._look()
            except Exception:
                log.exception("the detection rules could not look at the trail")

    async def _look(self) -> None:
        while True:
            after = self._looked_until
            page = await self._db.read(
                lambda connection, after=after: read(connection, Filter(), limit=WALK_ROWS, after=after)  # type: ignore[misc]
            )
            for one in page:
                self._looked_until = one.seq
                for alert in self._detector.feed(one.entry):
                    await self._raise(alert)
            if len(page) < WALK_ROWS:
                return

    async def _raise(self, alert: Alert) -> None:
        log.warning("%s: %s", alert.rule, alert.text, extra={"key": alert.key})
        details = {"rule": alert.rule, "key": alert.key, "text": alert.text, "count": alert.count}
        await self.write("alert.raised", actor="server", resource=alert.key, details=details)
        if self._on_alert is not None:
            await self._on_alert(alert)

    async def _sweep_now_and_then(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:
                log.exception("old entries of the trail could not be removed")
            await asyncio.sleep(SWEEP_SECONDS)
