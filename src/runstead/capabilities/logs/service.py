"""What logs can do for others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from runstead.capabilities.logs.figures import Figures
from runstead.capabilities.logs.indexing import Indexer
from runstead.capabilities.logs.ingest import Ingest
from runstead.capabilities.logs.intake import Intake
from runstead.capabilities.logs.limits import Limits
from runstead.capabilities.logs.maintenance import Maintenance
from runstead.capabilities.logs.model import Cursor, Query, StoredEvent
from runstead.capabilities.logs.ports import Masker, Sealer
from runstead.capabilities.logs.project_store import ProjectStore
from runstead.capabilities.logs.projects import Projects
from runstead.capabilities.logs.settings import LogsSettings
from runstead.capabilities.logs.store import EventStore, StateStore
from runstead.kernel.clock import Clock
from runstead.kernel.trail import Trail
from runstead.platform.storage.sql import Database


class LogsService:
    """Projects, ingest, search, maintenance, and the intake for the server's own sources."""

    def __init__(
        self,
        *,
        settings: LogsSettings,
        db: Database,
        sealer: Sealer,
        clock: Clock,
        registry: CollectorRegistry | None = None,
        trail: Trail | None = None,
        masker: Masker | None = None,
    ) -> None:
        """Put the parts together. No I/O."""
        figures = Figures(registry)
        self.settings = settings
        self._store = EventStore(db, masker)
        self._indexer = Indexer(self._store)
        self.limits = Limits(settings=settings, clock=clock)
        self.projects = Projects(store=ProjectStore(db, trail), sealer=sealer, settings=settings, clock=clock)
        self.maintenance = Maintenance(
            projects=self.projects,
            store=self._store,
            state=StateStore(db),
            limits=self.limits,
            figures=figures,
            clock=clock,
        )
        self.ingest = Ingest(
            projects=self.projects,
            store=self._store,
            limits=self.limits,
            indexer=self._indexer,
            maintenance=self.maintenance,
            figures=figures,
            clock=clock,
        )
        #: The LogSink of apps, endpoints and jobs.
        self.intake = Intake(
            projects=self.projects,
            store=self._store,
            indexer=self._indexer,
            figures=figures,
            clock=clock,
            stored=self.maintenance.poke,
        )
        figures.watch(queued=lambda: self.intake.queued, unindexed=lambda: self._indexer.backlog)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Be ready for batches and lines as long as the context is open; flush what is left."""
        await self.projects.open()
        async with AsyncExitStack() as stack:
            for part in (self._indexer, self.maintenance, self.intake):
                await stack.enter_async_context(part.opened())
            yield

    async def search(self, query: Query) -> tuple[list[StoredEvent], Cursor | None]:
        """Events that match, and where the next page begins."""
        if query.q:
            await self._indexer.caught_up()
        return await self._store.page(query)

    async def export(self, query: Query) -> AsyncIterator[list[StoredEvent]]:
        """All events that match, page by page."""

        while True:
            page, cursor = await self.search(query)
            yield page
            if cursor is None:
                return
            query = replace(query, cursor=cursor)

    async def health(self) -> Mapping[str, Any]:
        """How it is.

        :raises RuntimeError: something does not work.
        """
        if self.intake.last_error:
            raise RuntimeError(f"the server's own log events cannot be stored: {self.intake.last_error}")
        if self.projects.unreadable:
            raise RuntimeError(f"the secrets of {self.projects.unreadable} projects cannot be opened")
        state = await self.maintenance.state()
        return {
            "queued": self.intake.queued,
            "unindexed": self._indexer.backlog,
            "maintenance_finished_at": state["finished_at"],
            "maintenance_error": state["last_error"],
        }
