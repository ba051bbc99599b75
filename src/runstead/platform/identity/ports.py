"""What people need from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import sqlalchemy as sa

#: Writes a prepared audit entry in the transaction of the act.
Traced = Callable[[sa.Connection], None]


class Trail(Protocol):
    """Where acts are written down."""

    def note(
        self,
        action: str,
        *,
        outcome: Literal["success", "failure", "denied"] = "success",
        actor: str | None = None,
        resource: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> Traced:
        """Prepare an entry on the event loop, where it is known who asks; the result writes it.

        :param actor: None: whoever the present request is made for.
        """
        ...


class NoTrail:
    """Nobody writes anything down."""

    def note(self, action: str, **_facts: Any) -> Traced:
        return lambda _connection: None


class Sealer(Protocol):
    """Encrypts small values under a key that never leaves the server."""

    def seal(self, clear: bytes) -> bytes: ...
    def open(self, sealed: bytes) -> bytes: ...
