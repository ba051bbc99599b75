"""Forgetting: jobs that ended long ago, and the oldest whose logs take too much room together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog

from runstead.capabilities.jobs.settings import JobsSettings
from runstead.capabilities.jobs.store import JobStore
from runstead.kernel.background import background
from runstead.kernel.clock import Clock

#: Between two looks.
SWEEP_SECONDS: Final = 600.0
#: Jobs that are removed in one transaction.
BATCH_JOBS: Final = 200

_log = structlog.get_logger("jobs")

#: Removes what the disk has of a job: (id, created_at, attempts).
Forget = Callable[[str, str, int], Awaitable[None]]


class Retention:
    """Removes what the settings say; a job that has not ended stays, and so do the jobs of other servers."""

    def __init__(
        self, settings: JobsSettings, store: JobStore, forget: Forget, *, logs: Path, clock: Clock
    ) -> None:
        self._settings = settings
        self._store = store
        self._forget = forget
        self._logs = logs
        self._clock = clock

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Look now and then while the context is open."""
        return background(self._run(), "jobs-retention")

    async def _run(self) -> None:
        while True:
            try:
                removed = await self.sweep()
            except Exception:  # noqa: BLE001 - a database that is away for a moment; the next look is as good
                _log.exception("old jobs could not be removed")
            else:
                if removed:
                    _log.info("old jobs were removed", jobs=removed)
            await self._clock.sleep(SWEEP_SECONDS)

    async def sweep(self) -> int:
        """Remove what is too old, then what is too much; how many jobs went."""
        before = self._clock.now() - timedelta(days=self._settings.max_age_days)
        removed = 0
        while old := await self._store.ended_before(before, limit=BATCH_JOBS):
            removed += await self._remove(old)
        sizes = await asyncio.to_thread(sizes_of, self._logs)
        left = sum(sizes.values()) - self._settings.max_total_bytes
        # The ids of jobs are in the order of their making.
        for job_id in sorted(sizes):
            if left <= 0:
                break
            if await self._remove([job_id]):
                removed += 1
                left -= sizes[job_id]
        return removed

    async def _remove(self, ids: Sequence[str]) -> int:
        gone = await self._store.remove_ended(ids)
        for job in gone:
            await self._forget(*job)
        return len(gone)


def sizes_of(logs: Path) -> dict[str, int]:
    """Bytes that the logs of each job take, by its id. Blocking."""
    sizes: dict[str, int] = {}
    for path, size in _files(logs):
        # <date>/script_<id>[.<attempt>].log[.zst], or <date>/script_<id>[.<attempt>].parts/<lines>[.zst]
        name = path.relative_to(logs).parts[1]
        if name.startswith("script_"):
            job_id = name.removeprefix("script_").partition(".")[0]
            sizes[job_id] = sizes.get(job_id, 0) + size
    return sizes


def _files(root: Path) -> Iterator[tuple[Path, int]]:
    """Every file two folders deep or deeper."""
    waiting = [one for one in _entries(root) if one.is_dir(follow_symlinks=False)]
    while waiting:
        for entry in _entries(Path(waiting.pop().path)):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry)
            else:
                try:
                    yield Path(entry.path), entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
