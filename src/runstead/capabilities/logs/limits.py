"""How much a project and an address may send in a minute, and what a refusal says."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, Final

from runstead.capabilities.logs.errors import RateLimitError
from runstead.capabilities.logs.model import Project
from runstead.capabilities.logs.settings import LogsSettings
from runstead.capabilities.logs.window import SlidingWindow, Usage
from runstead.kernel.clock import Clock, rfc3339

_CHANGE_IP: Final = "logs.ip_requests_per_minute in the configuration (RUNSTEAD_LOGS_IP_REQUESTS_PER_MINUTE)"


class Limits:
    """Counts, in memory, what this process has let in."""

    def __init__(self, *, settings: LogsSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._events = SlidingWindow()
        self._requests = SlidingWindow()

    def admit_request(self, address: str) -> None:
        """Count a request of an address.

        :raises RateLimitError: it had enough.
        """
        limit = self._settings.ip_requests_per_minute
        usage = self._requests.admit(address, 1, limit, self._clock.monotonic())
        if not usage.admitted:
            raise self._refusal(
                usage,
                f"Too many requests from this address: at most {limit} a minute.",
                {"limit": "ip_requests_per_minute", "unit": "requests", "change": _CHANGE_IP},
            )

    def admit_events(self, project: Project, count: int) -> Usage:
        """Count events of a project, all of a batch or none.

        :raises RateLimitError: it had enough.
        """
        limit = project.minute_cap
        usage = self._events.admit(project.id, count, limit, self._clock.monotonic())
        if usage.admitted:
            return usage
        message = f"Too many events of this project: at most {limit} a minute, and {usage.used} came already."
        if count > limit:
            message = f"This batch can never be taken: it has {count} events, and the project may send {limit} a minute."
        change = f'minute_cap of the project: PATCH /admin/projects/{project.slug} {{"minute_cap": ...}}'
        raise self._refusal(usage, message, {"limit": "minute_cap", "unit": "events", "change": change})

    def forget_idle(self) -> int:
        """Drop what no longer counts."""
        now = self._clock.monotonic()
        return self._events.forget_idle(now) + self._requests.forget_idle(now)

    def headers(self, usage: Usage) -> dict[str, str]:
        """The present state, for any answer."""
        return {
            "X-RateLimit-Limit": str(usage.limit),
            "X-RateLimit-Remaining": str(usage.remaining),
            "X-RateLimit-Reset": str(math.ceil(self._clock.now().timestamp() + usage.reset_seconds)),
        }

    def _refusal(self, usage: Usage, message: str, about: dict[str, Any]) -> RateLimitError:
        retry = max(1, math.ceil(usage.retry_seconds))
        resets_at = self._clock.now() + timedelta(seconds=usage.reset_seconds)
        return RateLimitError(
            message,
            details={
                **about,
                "value": usage.limit,
                "usage": usage.used,
                "window_seconds": 60,
                "retry_after_seconds": retry,
                "resets_at": rfc3339(resets_at),
            },
            headers={"Retry-After": str(retry), **self.headers(usage)},
        )
