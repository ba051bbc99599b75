"""A sliding window: at most so much within any minute, exactly."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

WINDOW_SECONDS: Final = 60.0

#: Keys that are remembered at once. Beyond it the one that was quiet for longest is forgotten: it is the least likely
#: to be near its limit.
KEYS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a limit is used."""

    limit: int
    used: int
    #: Seconds until the window is empty, when nothing more comes.
    reset_seconds: float
    #: Seconds until what was refused would be let in; 0 when it was.
    retry_seconds: float = 0.0
    admitted: bool = True

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(slots=True)
class _Log:
    """What one key did within the window: when, and how much."""

    hits: deque[tuple[float, int]] = field(default_factory=deque)
    used: int = 0

    def expire(self, until: float) -> None:
        while self.hits and self.hits[0][0] <= until:
            self.used -= self.hits.popleft()[1]

    def wait(self, now: float, excess: int) -> float:
        """Seconds until at least ``excess`` has left the window."""
        freed = 0
        for at, cost in self.hits:
            freed += cost
            if freed >= excess:
                return at + WINDOW_SECONDS - now
        return WINDOW_SECONDS


class SlidingWindow:
    """Admits ``limit`` of cost per key within any WINDOW_SECONDS.

    A log of what was admitted, not two counters that are weighed: the limit holds exactly, for every window and not
    only for those that begin with a minute. What is refused costs nothing. One event loop only; each call is one
    step, so that no two can both take the last of it.
    """

    def __init__(self, *, keys_max: int = KEYS_MAX) -> None:
        self._logs: OrderedDict[object, _Log] = OrderedDict()
        self._keys_max = keys_max

    def __len__(self) -> int:
        return len(self._logs)

    def admit(self, key: object, cost: int, limit: int, now: float) -> Usage:
        """Take ``cost`` of the limit, all of it or nothing.

        :param now: seconds of a clock that never goes back.
        """
        log = self._logs.get(key)
        if log is None:
            log = self._logs[key] = _Log()
            if len(self._logs) > self._keys_max:
                self._logs.popitem(last=False)
        else:
            self._logs.move_to_end(key)
        log.expire(now - WINDOW_SECONDS)
        excess = log.used + cost - limit
        if excess > 0:
            return self._usage(log, limit, now, retry=log.wait(now, excess), admitted=False)
        if cost:
            log.hits.append((now, cost))
            log.used += cost
        return self._usage(log, limit, now)

    @staticmethod
    def _usage(log: _Log, limit: int, now: float, *, retry: float = 0.0, admitted: bool = True) -> Usage:
        reset = log.hits[-1][0] + WINDOW_SECONDS - now if log.hits else 0.0
        return Usage(limit, log.used, reset, retry, admitted)

    def forget_idle(self, now: float) -> int:
        """Drop the keys whose window is empty."""
        idle = [
            key for key, log in self._logs.items() if not log.hits or log.hits[-1][0] <= now - WINDOW_SECONDS
        ]
        for key in idle:
            del self._logs[key]
        return len(idle)
