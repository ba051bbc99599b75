"""Exact sliding windows: of any stretch of the window's length no more than the limit's amount falls into it.

In memory each request of a window is remembered by its time (8 bytes). On Redis the library ``limits`` does the same in one
atomic script, so that nodes count together.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

#: Keys remembered at once; of more, the one that asked longest ago is forgotten.
KEYS_MAX: Final = 50_000

#: Seconds that Redis may take before the answer is given without it.
REDIS_SECONDS_MAX: Final = 0.5


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether there was room, and how much there is now."""

    allowed: bool
    remaining: int
    #: Seconds until there is room for one more; 0 when there is now.
    retry_after: float
    #: Seconds until the window is empty if nothing more comes.
    reset_after: float


class Windows(Protocol):
    """Counts by key."""

    async def take(self, key: str, amount: int, seconds: int) -> Taken:
        """Take one of ``amount`` within ``seconds``, if there is one left."""
        ...


class MemoryWindows:
    """The windows of one node. Each call is one step of the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._times)

    async def take(self, key: str, amount: int, seconds: int) -> Taken:
        now = self._clock()
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = deque()
            if len(self._times) > KEYS_MAX:
                self._times.popitem(last=False)
        else:
            self._times.move_to_end(key)
        oldest = now - seconds
        while times and times[0] <= oldest:
            times.popleft()
        allowed = len(times) < amount
        if allowed:
            times.append(now)
        remaining = amount - len(times)
        retry_after = 0.0 if remaining else times[-amount] + seconds - now
        return Taken(allowed, remaining, retry_after, times[-1] + seconds - now)


class WindowsUnavailableError(Exception):
    """Nobody can be asked for the counts."""


class RedisWindows:
    """The windows of all nodes that share a Redis server."""

    def __init__(self, url: str) -> None:
        """:raises ModuleNotFoundError: the extra ``redis`` is not installed."""
        import limits.errors
        from limits.aio.storage import RedisStorage

        self._storage: Any = RedisStorage(
            f"async+{url}", implementation="redispy", key_prefix="runstead-limits", wrap_exceptions=True
        )
        self._failure = limits.errors.StorageError

    async def take(self, key: str, amount: int, seconds: int) -> Taken:
        """:raises WindowsUnavailableError: Redis does not answer, or not in time."""
        try:
            async with asyncio.timeout(REDIS_SECONDS_MAX):
                allowed = await self._storage.acquire_entry(key, amount, seconds)
                oldest, count = await self._storage.get_moving_window(key, amount, seconds)
        except (self._failure, TimeoutError, OSError) as error:
            raise WindowsUnavailableError(str(error) or "no answer in time") from error
        remaining = max(0, amount - count) if allowed else 0
        free = max(0.0, oldest + seconds - time.time())
        return Taken(allowed, remaining, free if not remaining else 0.0, free if count else 0.0)

    async def close(self) -> None:
        """Close the connections."""
        await self._storage.bridge.storage.aclose()
