"""Whether two things can be told apart by the time that they take.

Many interleaved trials are compared by rank: the share of pairs in which the one was faster (Mann and Whitney). A difference that
can be used shows as a share near 0 or 1; where there is none, chance leaves 0.2 to 0.8 in not one of a million runs of this size.
Each comparison may be repeated, for a neighbour on the machine may step in.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

TRIALS = 60
REPEATS = 3

Act = Callable[[], Awaitable[object]]


async def seconds_of(act: Act) -> float:
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began


async def share(one: Act, other: Act) -> float:
    """In how many of all pairs the one was faster."""
    await one()
    await other()
    ones, others = [], []
    for _ in range(TRIALS):
        ones.append(await seconds_of(one))
        others.append(await seconds_of(other))
    return sum(a < b for a in ones for b in others) / TRIALS**2


async def alike(one: Act, other: Act) -> None:
    """Fails when they can be told apart."""
    found = []
    for _ in range(REPEATS):
        found.append(await share(one, other))
        if 0.2 <= found[-1] <= 0.8:
            return
    raise AssertionError(f"the answers can be told apart: {found}")
