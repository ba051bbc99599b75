"""How often who may ask: rates by address, user, tenant and route; addresses that are shut out or exempt."""

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
