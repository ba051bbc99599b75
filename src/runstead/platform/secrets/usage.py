"""Counting uses without a write for each: counts are written together, every few seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from runstead.kernel.background import background
from runstead.kernel.clock import Clock, rfc3339
from runstead.kernel.trail import Trail
from runstead.platform.identity.asking import on_behalf_of
from runstead.platform.secrets.tables import items, uses
from runstead.platform.storage.sql import Database

log = logging.getLogger(__name__)

#: Seconds that uses may wait to be written: as many are lost when the machine fails.
FLUSH_SECONDS: Final = 5.0
#: Different users of secrets that may wait; more of them are written at once.
WAITING_MAX: Final = 10_000


@dataclass(slots=True)
class _Tally:
    count: int
    used_at: str


class UsageCounter:
    """Who used which secret, how often."""

    def __init__(self, db: Database, *, trail: Trail, clock: Clock) -> None:
        self._db = db
        self._trail = trail
        self._clock = clock
        self._waiting: dict[tuple[str, str, str], _Tally] = {}
        self._lock = asyncio.Lock()
        self._full = asyncio.Event()

    def count(self, scope: str, secret_id: str, used_by: str) -> None:
        """One more use."""
        tally = self._waiting.setdefault((scope, secret_id, used_by), _Tally(0, ""))
        tally.count += 1
        tally.used_at = rfc3339(self._clock.now())
        if len(self._waiting) >= WAITING_MAX:
            self._full.set()

    async def flush(self) -> None:
        """Write what is counted, each with an entry in the trail; what cannot be written goes on waiting."""
        async with self._lock:
            taken, self._waiting = self._waiting, {}
            self._full.clear()
            if not taken:
                return
            try:
                await self._write(taken)
            except BaseException:
                for key, tally in taken.items():
                    newer = self._waiting.setdefault(key, _Tally(0, tally.used_at))
                    newer.count += tally.count
                raise

    async def _write(self, taken: dict[tuple[str, str, str], _Tally]) -> None:
        traces = []
        for (scope, secret_id, used_by), tally in taken.items():
            with on_behalf_of(used_by):
                traces.append(
                    self._trail.note(
                        "secret.read", resource=f"secret:{scope}/{secret_id}", details={"count": tally.count}
                    )
                )

        def work(connection: sa.Connection) -> None:
            for ((scope, secret_id, used_by), tally), traced in zip(taken.items(), traces, strict=True):
                this = (uses.c.scope == scope) & (uses.c.id == secret_id) & (uses.c.used_by == used_by)
                more = uses.update().where(this)
                changed = connection.execute(
                    more.values(count=uses.c.count + tally.count, used_at=tally.used_at)
                )
                if not changed.rowcount:
                    exists = sa.exists().where((items.c.scope == scope) & (items.c.id == secret_id))
                    if not connection.scalar(sa.select(exists)):
                        continue
                    values = {"scope": scope, "id": secret_id, "used_by": used_by}
                    connection.execute(
                        uses.insert().values(**values, count=tally.count, used_at=tally.used_at)
                    )
                traced(connection)

        await self._db.write(work)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Write now and then, and once more at the end."""
        try:
            async with background(self._run(), "secrets-usage"):
                yield
        finally:
            try:
                await self.flush()
            except Exception:
                log.exception("the last uses of secrets could not be counted")

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), FLUSH_SECONDS)
            try:
                await self.flush()
            except Exception:
                log.exception("uses of secrets could not be counted yet")
