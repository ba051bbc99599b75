"""Work beside requests: what fails stops nobody, and what changes is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from runstead.kernel.background import DueWork, background, first_of
from runstead.testing.clock import FakeClock


class Desk:
    """Has work that fails in every place."""

    def __init__(self) -> None:
        self.due: list[str] = []
        self.done: list[str] = []
        self.looks = 0
        self.is_away = False
        self.at_once = 0
        self.most_at_once = 0

    async def take(self) -> Sequence[str]:
        self.looks += 1
        if self.is_away:
            raise ConnectionError("the database is away")
        taken, self.due = self.due, []
        return taken

    async def act(self, one: str) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if one == "fails":
            raise RuntimeError("on purpose")
        self.done.append(one)

    async def seconds_left(self) -> float:
        return 60.0


async def until(desk: Desk, count: int) -> None:
    async with asyncio.timeout(10):
        while len(desk.done) < count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)


async def test_what_fails_stops_nobody() -> None:
    desk, clock = Desk(), FakeClock()
    work = DueWork(
        take=desk.take,
        act=desk.act,
        seconds_left=desk.seconds_left,
        clock=clock,
        at_once=2,
        look_seconds=10.0,
    )
    async with background(work.run(), "test"):
        desk.due = ["a", "fails", "b", "c", "d"]
        work.wake()
        await until(desk, 4)
        assert desk.most_at_once <= 2
        desk.is_away = True
        looks = desk.looks
        work.wake()
        async with asyncio.timeout(10):
            while desk.looks == looks:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        desk.is_away, desk.due = False, ["e"]
        for _ in range(3):
            # Without a word it looks again after the longest sleep.
            await asyncio.sleep(0)
            clock.advance(10)
        await until(desk, 5)
    assert desk.done == ["a", "b", "c", "d", "e"]


async def test_the_first_of_several_gives_the_others_up() -> None:
    event, never = asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(first_of(event.wait(), never.wait()))
    await asyncio.sleep(0)
    event.set()
    await waiting
    assert len(asyncio.all_tasks()) <= 3
