"""How often who may ask: rates by address, user, tenant and route; addresses that are shut out or exempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.platform.limits.errors import BlockedError, RateLimitedError
    from runstead.platform.limits.limiter import Limiter, Standing
    from runstead.platform.limits.settings import SECTION, LimitsSettings, Rule
    from runstead.platform.limits.tables import MIGRATIONS

__all__ = [
    "MIGRATIONS",
    "SECTION",
    "BlockedError",
    "Limiter",
    "LimitsSettings",
    "RateLimitedError",
    "Rule",
    "Standing",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "errors": ["BlockedError", "RateLimitedError"],
            "limiter": ["Limiter", "Standing"],
            "settings": ["SECTION", "LimitsSettings", "Rule"],
            "tables": ["MIGRATIONS"],
        },
    )
