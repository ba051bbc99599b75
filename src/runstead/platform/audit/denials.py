"""Writing down that somebody was refused: sampled, for a client in a loop would fill the trail."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any, Final

from runstead.kernel.errors import RunsteadError
from runstead.platform.audit.trail import Audit

#: One entry for each actor and action in so many seconds.
SECONDS: Final = 60.0
KEYS_MAX: Final = 10_000


class Denials:
    """Called by the HTTP stack with what it refused."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def denied(self, actor: str, error: RunsteadError) -> None:
        """Somebody known may not do that."""
        details = error.details if isinstance(error.details, dict) else {}
        action = str(details.get("action", ""))
        if self._is_new((actor, action)):
            await self._audit.write("access.denied", outcome="denied", details=_facts(action, error))

    async def locked(self, address: str) -> None:
        """An address has to wait."""
        if self._is_new((address, "locked")):
            await self._audit.write("access.locked", outcome="denied")

    def _is_new(self, key: tuple[str, str]) -> bool:
        now = time.monotonic()
        seen = self._seen.get(key)
        if seen is not None and now - seen < SECONDS:
            return False
        self._seen[key] = now
        self._seen.move_to_end(key)
        while len(self._seen) > KEYS_MAX:
            self._seen.popitem(last=False)
        return True


def _facts(action: str, error: RunsteadError) -> dict[str, Any]:
    return {"action": action, "code": error.code, "reason": error.message[:500]}
