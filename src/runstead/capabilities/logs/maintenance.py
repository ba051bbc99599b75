"""Forgetting what is old: started by whoever sends logs, never waited for by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog

from runstead.capabilities.logs.errors import MaintenanceRunningError
from runstead.capabilities.logs.figures import Figures
from runstead.capabilities.logs.limits import Limits
from runstead.capabilities.logs.model import IDEMPOTENCY_SECONDS, microseconds, moment_of
from runstead.capabilities.logs.projects import Projects
from runstead.capabilities.logs.store import EventStore, MaintenanceState, StateStore
from runstead.kernel.clock import Clock, rfc3339

#: Seconds between two runs that nobody asked for.
INTERVAL_SECONDS: Final = 300

#: Seconds of one run; what is left then waits for the next.
RUN_SECONDS_MAX: Final = 25.0

#: Seconds after which a run that was never ended counts as dead. Longer than any run can take.
HOLD_SECONDS: Final = 120

#: Seconds that closing waits for the step that is under way.
CLOSE_SECONDS_MAX: Final = 5.0

#: Rows deleted in one transaction: so few that a batch that comes meanwhile hardly waits.
DELETE_ROWS: Final = 200

#: Pages of the search index merged in one run.
MERGE_PAGES: Final = 200

_SECOND: Final = 1_000_000
_DAY: Final = 24 * 3600 * _SECOND

_log = structlog.get_logger("logs")


@dataclass(slots=True)
class Report:
    """What a run did."""

    deleted_events: int = 0
    deleted_projects: int = 0
    deleted_receipts: int = 0
    forgotten_limits: int = 0
    #: Nothing was left to do when the time was over.
    complete: bool = True

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Purge:
    """What to delete beyond what is old anyway."""

    #: None: of every project.
    slug: str | None = None
    #: None: as long as each project keeps its events.
    older_than_days: int | None = None


class Maintenance:
    """Deletes old events, receipts and the rest of deleted projects, in small steps.

    Guarantee: one run at a time over all processes, by a hold in the database that ends by itself; RUN_SECONDS_MAX
    each; every step is one short transaction, so batches are stored in between. Failure: the error is kept in the
    state, and the next run tries again.
    Why not a timer: a server that gets no logs has nothing to forget, and nothing to configure.
    """

    def __init__(
        self,
        *,
        projects: Projects,
        store: EventStore,
        state: StateStore,
        limits: Limits,
        figures: Figures,
        clock: Clock,
    ) -> None:
        self._projects = projects
        self._store = store
        self._state = state
        self._limits = limits
        self._figures = figures
        self._clock = clock
        self._poked_at = -float(INTERVAL_SECONDS)
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Let a run that is under way end with its next step, so that the next process need not wait for its hold."""
        try:
            yield
        finally:
            self._closing = True
            if self._task is not None:
                await asyncio.wait({self._task}, timeout=CLOSE_SECONDS_MAX)
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)

    def poke(self) -> None:
        """Something was stored; begin a run in the background when the last was long ago. Costs nothing otherwise."""
        now = self._clock.monotonic()
        if now - self._poked_at >= INTERVAL_SECONDS:
            self._poked_at = now
            self._begin(not_since=microseconds(self._clock.now()) - INTERVAL_SECONDS * _SECOND)

    def begin(self) -> None:
        """Begin a run in the background, however long ago the last was."""
        self._begin(not_since=None)

    def _begin(self, not_since: int | None) -> None:
        if not self._closing and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run_quietly(not_since), name="logs-maintenance")

    async def _run_quietly(self, not_since: int | None) -> None:
        try:
            await self._run(Purge(), not_since)
        except MaintenanceRunningError:
            pass
        except Exception:  # noqa: BLE001 - nobody waits for it; it is told in the state and the log
            _log.exception("maintenance of logs failed")

    async def run(self) -> Report:
        """Run now and wait for it.

        :raises MaintenanceRunningError: this or another process is at it.
        """
        return await self._run(Purge(), None)

    async def purge(self, purge: Purge) -> Report:
        """Delete more than what is old anyway.

        :raises MaintenanceRunningError: this or another process is at it.
        :raises UnknownProjectError: there is no such project.
        """
        if purge.slug is not None:
            await self._projects.get(purge.slug)
        return await self._run(purge, None)

    async def state(self) -> dict[str, Any]:
        """How it is."""
        state: MaintenanceState = await self._state.read()
        return {
            "running": state.held_until > microseconds(self._clock.now()),
            "started_at": _text(state.started_at),
            "finished_at": _text(state.finished_at),
            "last_error": state.last_error,
            "last_report": state.last_report,
        }

    async def _run(self, purge: Purge, not_since: int | None) -> Report:
        now = microseconds(self._clock.now())
        if not await self._state.take(now=now, until=now + HOLD_SECONDS * _SECOND, not_since=not_since):
            raise MaintenanceRunningError
        report = Report()
        error: str | None = None
        try:
            await self._work(purge, report)
        except BaseException as cause:
            error = f"{type(cause).__name__}: {cause}"
            raise
        finally:
            release = self._state.release(
                now=microseconds(self._clock.now()), error=error, report=report.to_json()
            )
            # Also when whoever asked for it went away.
            await asyncio.shield(release)
        return report

    async def _work(self, purge: Purge, report: Report) -> None:
        until = self._clock.monotonic() + RUN_SECONDS_MAX
        now = microseconds(self._clock.now())
        for project in await self._projects.all():
            if purge.slug in (None, project.slug):
                days = project.retention_days if purge.older_than_days is None else purge.older_than_days
                await self._delete_events(project.id, now - days * _DAY, until, report)
        for project_id in await self._projects.deleted():
            # Also what a request that was under way has stored since.
            if await self._delete_events(project_id, now + _DAY, until, report):
                await self._projects.forget(project_id)
                report.deleted_projects += 1
        before = now - IDEMPOTENCY_SECONDS * _SECOND
        report.deleted_receipts, complete = await self._repeat(
            lambda: self._store.delete_receipts(before, DELETE_ROWS), until
        )
        report.complete &= complete
        report.forgotten_limits = self._limits.forget_idle()
        await self._store.tidy_index(MERGE_PAGES)

    async def _delete_events(self, project_id: int, before: int, until: float, report: Report) -> bool:
        deleted, complete = await self._repeat(
            lambda: self._store.delete_older(project_id, before, DELETE_ROWS), until
        )
        report.deleted_events += deleted
        report.complete &= complete
        self._figures.deleted(deleted)
        return complete

    async def _repeat(self, step: Callable[[], Awaitable[int]], until: float) -> tuple[int, bool]:
        """Do a step until it has done less than it might, or the time is over; how much, and whether all."""
        total = 0
        while self._clock.monotonic() < until and not self._closing:
            done = await step()
            total += done
            if done < DELETE_ROWS:
                return total, True
        return total, False


def _text(micros: int | None) -> str | None:
    return None if micros is None else rfc3339(moment_of(micros))
