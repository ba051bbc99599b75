"""Whose turn it is: so many at once, so many of each label, the urgent ones first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from runstead.capabilities.jobs.model import Job


@dataclass(slots=True, eq=False)
class _Waiting:
    job: Job
    given: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def place(self) -> tuple[int, str]:
        """The urgent ones first, then those that came first: ids are in the order of time."""
        return -self.job.priority, self.job.id


class Turns:
    """Gives turns.

    Guarantee: never more than ``concurrency`` hold one, nor more of a label than its limit; who is first in line gets the next
    one that its labels allow. One that waits for its label lets others pass.
    """

    def __init__(self, concurrency: int, by_label: Mapping[str, int]) -> None:
        """:param by_label: ``name=value`` limits the jobs with that label, ``name`` those of each value of it."""
        self._concurrency = concurrency
        self._by_label = by_label
        self._waiting: list[_Waiting] = []
        self._running = 0
        self._labels: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, job: Job, *, runs_already: bool = False) -> AsyncIterator[None]:
        """Wait for a turn, and give it back at the end.

        :param runs_already: it runs, whether it may or not: others wait for it.
        """
        if runs_already:
            self._count(job, 1)
        else:
            await self._wait(job)
        try:
            yield
        finally:
            self._count(job, -1)
            self._give()

    async def _wait(self, job: Job) -> None:
        waiting = _Waiting(job)
        self._waiting.append(waiting)
        self._waiting.sort(key=lambda one: one.place)
        self._give()
        try:
            await waiting.given
        except asyncio.CancelledError:
            if waiting.given.done() and not waiting.given.cancelled():
                self._count(job, -1)
            else:
                self._waiting.remove(waiting)
            self._give()
            raise

    def _give(self) -> None:
        for one in list(self._waiting):
            if self._running >= self._concurrency:
                return
            if not one.given.cancelled() and self._may(one.job):
                self._waiting.remove(one)
                self._count(one.job, 1)
                one.given.set_result(None)

    def _may(self, job: Job) -> bool:
        return all(self._labels[label] < limit for label, limit in self._limited(job))

    def _limited(self, job: Job) -> list[tuple[str, int]]:
        found = []
        for name, value in job.labels.items():
            label = f"{name}={value}"
            limit = self._by_label.get(label, self._by_label.get(name))
            if limit is not None:
                found.append((label, limit))
        return found

    def _count(self, job: Job, change: int) -> None:
        self._running += change
        for label, _ in self._limited(job):
            self._labels[label] += change
            if not self._labels[label]:
                del self._labels[label]
