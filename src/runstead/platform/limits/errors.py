"""Why a request is not let through."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runstead.kernel.errors import ForbiddenError, TooManyRequestsError

if TYPE_CHECKING:
    from runstead.platform.limits.limiter import Standing


class BlockedError(ForbiddenError):
    """This address is shut out."""

    code = "E_BLOCKED"


class RateLimitedError(TooManyRequestsError):
    """Too many requests; wait before the next one."""

    def __init__(self, standing: Standing) -> None:
        """Name the limit, how much of it is used, when it is free again, and where to change it."""
        wait = max(1, math.ceil(standing.retry_after))
        rule = standing.rule
        super().__init__(
            f"Too many requests: {rule.limit} by {rule.by}.",
            headers={**standing.headers(), "Retry-After": str(wait)},
            details={
                "limit": rule.name,
                "value": standing.amount,
                "window_seconds": standing.seconds,
                "used": standing.amount - standing.remaining,
                "retry_after": wait,
                "setting": f"limits.rules ({rule.name})",
            },
        )
