"""What this server depends on, and whether it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import structlog

from runstead.kernel.capability import HealthCheck
from runstead.kernel.clock import Clock, SystemClock, rfc3339

#: Seconds that one check may take before it counts as failed.
CHECK_SECONDS_MAX: Final = 2.0

#: Seconds that a report is reused: a busy load balancer must not become the database's main load.
CACHE_SECONDS: Final = 1.0

_log = structlog.get_logger("health")


class Status(StrEnum):
    """The state of one dependency or of all of them together."""

    #: Works.
    OK = "ok"
    #: Something that is not critical does not work.
    DEGRADED = "degraded"
    #: Something critical does not work.
    DOWN = "down"


class Phase(StrEnum):
    """Where the server is in its life."""

    #: Opening what it needs.
    STARTING = "starting"
    #: Serving.
    READY = "ready"
    #: Finishing what it began; takes nothing new.
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """How one check went."""

    name: str
    status: Status
    latency_ms: float
    critical: bool
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """How all checks went."""

    status: Status
    checked_at: str
    checks: Sequence[CheckResult]


class Health:
    """Runs the checks side by side, each under a time limit, and remembers the outcome for a moment.

    Callers that come while the checks run wait for the same run. The public report says that a dependency failed and how
    (the type of the error); the text of the error, which may hold an address or a user name, goes to the log.
    """

    def __init__(
        self,
        checks: Sequence[HealthCheck] = (),
        *,
        timeout_seconds: float = CHECK_SECONDS_MAX,
        cache_seconds: float = CACHE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._checks = list(checks)
        self._timeout = timeout_seconds
        self._cache_seconds = cache_seconds
        self._clock = clock or SystemClock()
        self._report: HealthReport | None = None
        self._reported_at = 0.0
        self._running: asyncio.Task[HealthReport] | None = None
        self.phase = Phase.READY

    def add(self, *checks: HealthCheck) -> None:
        """Take more checks. The names must differ.

        :raises ValueError: for a name that is there already.
        """
        for check in checks:
            if any(known.name == check.name for known in self._checks):
                raise ValueError(f"there are two health checks named {check.name!r}")
            self._checks.append(check)
        self._report = None

    async def report(self) -> HealthReport:
        """The state of everything, at most :data:`CACHE_SECONDS` old."""
        if self._report is not None and self._clock.monotonic() - self._reported_at < self._cache_seconds:
            return self._report
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        # Shielded: a client that hangs up must not fail the check for those that wait with it.
        return await asyncio.shield(self._running)

    async def is_ready(self) -> bool:
        """Whether new work should be sent here."""
        return self.phase is Phase.READY and (await self.report()).status is not Status.DOWN

    async def _run(self) -> HealthReport:
        try:
            results = await asyncio.gather(*(self._probe(check) for check in self._checks))
        finally:
            self._running = None
        failed = [result for result in results if result.status is not Status.OK]
        status = Status.OK
        if failed:
            status = Status.DOWN if any(result.critical for result in failed) else Status.DEGRADED
        self._report = HealthReport(status=status, checked_at=rfc3339(self._clock.now()), checks=results)
        self._reported_at = self._clock.monotonic()
        return self._report

    async def _probe(self, check: HealthCheck) -> CheckResult:
        began = self._clock.monotonic()
        facts: Mapping[str, Any] = {}
        error: str | None = None
        try:
            async with asyncio.timeout(self._timeout):
                facts = await check.probe()
        except TimeoutError:
            error = f"no answer within {self._timeout:g} s"
            _log.warning("health check timed out", check=check.name, timeout_seconds=self._timeout)
        except Exception as cause:  # noqa: BLE001 - whatever a check raises is its finding
            error = type(cause).__name__
            _log.warning("health check failed", check=check.name, exc_info=cause)
        return CheckResult(
            name=check.name,
            status=Status.OK if error is None else (Status.DOWN if check.critical else Status.DEGRADED),
            latency_ms=round((self._clock.monotonic() - began) * 1000, 3),
            critical=check.critical,
            facts=facts,
            error=error,
        )
