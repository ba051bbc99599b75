"""Packs what is full or whole, and removes the oldest of a log that is too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.output.files import (
    LINES_MAX,
    LogFiles,
    Part,
    follow_lines,
    packed,
    parts_of,
    seq_at,
)
from runstead.capabilities.jobs.output.index import AttemptPlaces, LogIndex
from runstead.capabilities.jobs.output.lines import Line, Missed
from runstead.capabilities.jobs.output.packing import pack
from runstead.capabilities.jobs.output.tee import LogTee
from runstead.kernel.clock import Clock


class LogKeeper:
    """Looks after the files of all logs. What is read meanwhile is found in one shape or the other."""

    def __init__(self, files: LogFiles, index: LogIndex, *, part_bytes: int, parts_max: int) -> None:
        self.files = files
        self.index = index
        self._part_bytes = part_bytes
        self._parts_max = parts_max

    def tee(self, job: Job, clock: Clock, *, state: Path) -> LogTee:
        """What takes the output of the present attempt."""
        places = self.index.of(job.id, job.attempt)
        return LogTee(self.files.path(job), clock, state=state, places=places, part_bytes=self._part_bytes)

    async def follow(
        self, job: Job, seq: int, attempt: int | None = None
    ) -> AsyncIterator[list[Line] | Missed]:
        """Every line of an attempt that has ended, from ``seq`` on."""
        places = self.index.of(job.id, attempt or job.attempt)
        async for found in follow_lines(self.files.path(job, attempt), seq, places=places):
            yield found

    async def seq_at(self, job: Job, at: float, attempt: int | None = None) -> int | None:
        """The number of the first line of an attempt that is not older than ``at`` (seconds since 1970); None: there is none."""
        places = self.index.of(job.id, attempt or job.attempt)
        return await seq_at(self.files.path(job, attempt), at, places=places)

    async def pack_parts(self, job: Job, full: Sequence[Part]) -> None:
        """Pack parts of the present attempt, which still runs."""
        places = self.index.of(job.id, job.attempt)
        for part in full:
            await _pack(part.path, places, first=part.first, last=part.last)
        await self._remove_oldest(self.files.path(job), places)

    async def pack_whole(self, job: Job, attempt: int | None = None) -> None:
        """Pack the log of an attempt that has ended. What grew comes last: as long as it is there, there is something to do."""
        path, places = self.files.path(job, attempt), self.index.of(job.id, attempt or job.attempt)
        await self._remove_oldest(path, places)
        parts = await asyncio.to_thread(parts_of, path)
        for part in parts:
            await _pack(part.path, places, first=part.first, last=part.last)
        await _pack(path, places, first=parts[-1].last + 1 if parts else 1, last=LINES_MAX)

    async def _remove_oldest(self, path: Path, places: AttemptPlaces) -> None:
        parts = await asyncio.to_thread(parts_of, path)
        for part in parts[: max(0, len(parts) + 1 - self._parts_max)]:
            for one in (part.path, packed(part.path)):
                await asyncio.to_thread(one.unlink, missing_ok=True)
            await places.replace([], first=part.first, last=part.last)


async def _pack(path: Path, places: AttemptPlaces, *, first: int, last: int) -> None:
    try:
        found = await asyncio.to_thread(pack, path)
    except FileNotFoundError:
        # It is packed already.
        return
    await places.replace(found, first=first, last=last)
    await asyncio.to_thread(path.unlink, missing_ok=True)
