"""How much was asked, by hour: counted in memory, written every few seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from runstead.kernel.background import background
from runstead.kernel.clock import Clock, rfc3339
from runstead.platform.limits.tables import usage
from runstead.platform.storage.sql import Database

log = logging.getLogger(__name__)

#: Seconds that counts may wait: as many are lost when the machine fails.
FLUSH_SECONDS: Final = 10.0
#: Subjects counted apart between two writes; what further ones do is counted together.
SUBJECTS_MAX: Final = 5_000
OTHERS: Final = "(others)"


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfUse:
    """What somebody asked within an hour."""

    hour: str
    rule: str
    subject: str
    allowed: int
    refused: int


class UsageReport:
    """Counts by hour, rule and subject."""

    def __init__(self, db: Database, *, days: int, clock: Clock) -> None:
        self._db = db
        self._days = days
        self._clock = clock
        self._waiting: dict[tuple[str, str, str], list[int]] = {}
        self._hour = ("", 0.0)

    def count(self, rule: str, subject: str, *, allowed: bool) -> None:
        """One more request."""
        key = (self._present_hour(), rule, subject)
        if key not in self._waiting and len(self._waiting) >= SUBJECTS_MAX:
            key = (key[0], rule, OTHERS)
        self._waiting.setdefault(key, [0, 0])[0 if allowed else 1] += 1

    def _present_hour(self) -> str:
        # Formatting a time for each request would cost more than counting it.
        text, until = self._hour
        if self._clock.monotonic() >= until:
            text = rfc3339(self._clock.now())[:13]
            self._hour = (text, self._clock.monotonic() + 1.0)
        return text

    async def flush(self) -> None:
        """Write what is counted; what cannot be written goes on waiting."""
        taken, self._waiting = self._waiting, {}
        if not taken:
            return

        def work(connection: sa.Connection) -> None:
            for (hour, rule, subject), (allowed, refused) in taken.items():
                this = (usage.c.hour == hour) & (usage.c.rule == rule) & (usage.c.subject == subject)
                more = {"allowed": usage.c.allowed + allowed, "refused": usage.c.refused + refused}
                if not connection.execute(usage.update().where(this).values(**more)).rowcount:
                    key = {"hour": hour, "rule": rule, "subject": subject}
                    connection.execute(usage.insert().values(**key, allowed=allowed, refused=refused))

        try:
            await self._db.write(work)
        except BaseException:
            for key, (allowed, refused) in taken.items():
                newer = self._waiting.setdefault(key, [0, 0])
                newer[0] += allowed
                newer[1] += refused
            raise

    async def report(
        self, *, since: str = "", rule: str = "", subject: str = "", limit: int = 1000
    ) -> Sequence[HourOfUse]:
        """What was asked, the latest hour first."""
        await self.flush()
        query = usage.select().order_by(usage.c.hour.desc(), usage.c.rule, usage.c.subject).limit(limit)
        if since:
            query = query.where(usage.c.hour >= since[:13])
        if rule:
            query = query.where(usage.c.rule == rule)
        if subject:
            query = query.where(usage.c.subject == subject)
        return await self._db.read(
            lambda connection: [HourOfUse(**row) for row in connection.execute(query).mappings()]
        )

    async def sweep(self) -> None:
        """Remove what is too old."""
        oldest = rfc3339(self._clock.now() - timedelta(days=self._days))[:13]
        old = usage.delete().where(usage.c.hour < oldest)
        await self._db.write(lambda connection: connection.execute(old).rowcount)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Write now and then, and once more at the end."""
        try:
            async with background(self._run(), "limits-usage"):
                yield
        finally:
            try:
                await self.flush()
            except Exception:
                log.exception("the last usage could not be written")

    async def _run(self) -> None:
        swept = -1
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
                if (today := self._clock.now().day) != swept:
                    await self.sweep()
                    swept = today
            except Exception:
                log.exception("usage could not be written yet")
