"""The seam through which acts are written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

#: Writes a prepared entry with the database connection of the act, within its transaction.
Traced = Callable[[Any], None]


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

        :param action: ``area.verb``, of those that the trail knows.
        :param actor: None: whoever the present request is made for.
        """
        ...


class NoTrail:
    """Nobody writes anything down: for tests and tools."""

    def note(self, action: str, **_facts: Any) -> Traced:
        return lambda _connection: None
