"""The rules, applied."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from runstead.kernel.clock import Clock
from runstead.kernel.trail import Trail
from runstead.platform.identity.lockout import origin_of
from runstead.platform.limits.addresses import AddressLists
from runstead.platform.limits.errors import BlockedError, RateLimitedError
from runstead.platform.limits.settings import LimitsSettings, Rule, parse_rate
from runstead.platform.limits.usage import UsageReport
from runstead.platform.limits.windows import (
    MemoryWindows,
    RedisWindows,
    Taken,
    Windows,
    WindowsUnavailableError,
)
from runstead.platform.storage.sql import Database

log = logging.getLogger(__name__)

#: Seconds for which a Redis server that did not answer is not asked again.
PAUSE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for what."""

    address: str
    #: Empty: nobody known.
    user: str
    tenant: str
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an asker stands with the rule that leaves least."""

    rule: Rule
    amount: int
    seconds: int
    remaining: int
    retry_after: float
    reset_after: float
    #: With the rule of the tenant's plan, where that is another one.
    plan: Standing | None = None

    def headers(self) -> dict[str, str]:
        """As clients know them; the reset is in seconds from now."""
        values = {"Limit": self.amount, "Remaining": self.remaining, "Reset": math.ceil(self.reset_after)}
        headers = {f"X-RateLimit-{name}": str(value) for name, value in values.items()}
        plan = self if self.rule.by == "tenant" else self.plan
        if plan is self:
            headers |= {f"X-RateLimit-Tenant-{name}": str(value) for name, value in values.items()}
        elif plan is not None:
            headers |= {name: value for name, value in plan.headers().items() if "-Tenant-" in name}
        return headers


class Limiter:
    """Lets through or refuses.

    With Redis all nodes count together. When it does not answer, each node counts for itself until it does: a server that lets
    nobody in because its counter is away would be the worse failure.
    """

    def __init__(
        self,
        db: Database,
        *,
        settings: LimitsSettings,
        rules: Sequence[Rule],
        trail: Trail,
        clock: Clock,
        windows: Windows | None = None,
        namespace: str = "",
    ) -> None:
        """Build it.

        :param rules: those that hold.
        :param namespace: keeps apart what counts on one Redis server.
        """
        self._namespace = namespace
        self.rules = tuple(rules)
        self.addresses = AddressLists(db, trail=trail, clock=clock)
        self.usage = UsageReport(db, days=settings.usage_days, clock=clock)
        self._rates = [(rule, *parse_rate(rule.limit)) for rule in self.rules]
        self._own: Windows = windows or MemoryWindows()
        self._shared = RedisWindows(settings.redis_url) if settings.redis_url else None
        self._paused_until = 0.0

    async def admit(self, asker: Asker) -> Standing | None:
        """Count a request.

        :returns: the standing with the rule that leaves least; None when no rule holds for it.
        :raises BlockedError: the address is shut out.
        :raises RateLimitedError: a rule leaves nothing.
        """
        verdict = await self.addresses.verdict(asker.address)
        if verdict == "block":
            raise BlockedError
        if verdict == "allow":
            return None
        tightest: Standing | None = None
        plan: Standing | None = None
        for rule, amount, seconds in self._rates:
            subject = _subject(rule, asker)
            if subject is None:
                continue
            taken = await self._take(f"{self._namespace}/{rule.name}/{subject}", amount, seconds)
            self.usage.count(rule.name, subject, allowed=taken.allowed)
            standing = Standing(rule, amount, seconds, taken.remaining, taken.retry_after, taken.reset_after)
            if not taken.allowed:
                raise RateLimitedError(standing)
            if rule.by == "tenant":
                plan = standing
            if tightest is None or standing.remaining < tightest.remaining:
                tightest = standing
        return tightest if tightest is None or tightest is plan else replace(tightest, plan=plan)

    async def _take(self, key: str, amount: int, seconds: int) -> Taken:
        if self._shared is not None and time.monotonic() >= self._paused_until:
            try:
                return await self._shared.take(key, amount, seconds)
            except WindowsUnavailableError as error:
                self._paused_until = time.monotonic() + PAUSE_SECONDS
                log.warning("Redis does not answer, each node counts its own requests for now: %s", error)
        return await self._own.take(key, amount, seconds)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Write the usage while the server runs."""
        try:
            async with self.usage.opened():
                yield
        finally:
            if self._shared is not None:
                await self._shared.close()


def _subject(rule: Rule, asker: Asker) -> str | None:
    """Who is counted; None: the rule is not about this request."""
    if rule.methods and asker.method not in rule.methods:
        return None
    if rule.paths and not any(
        asker.path == path or asker.path.startswith(path.rstrip("/") + "/") for path in rule.paths
    ):
        return None
    if rule.by == "address":
        return f"address:{origin_of(asker.address)}"
    if rule.by == "user":
        return asker.user or None
    if rule.by == "tenant":
        return f"tenant:{asker.tenant}" if asker.tenant else None
    return "everyone"
