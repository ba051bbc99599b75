"""What jobs need from elsewhere; bootstrap connects it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from runstead.kernel.secret import Secret


class LogSink(Protocol):
    """Where the lines go that jobs write."""

    def emit(
        self,
        *,
        source: str,
        level: str,
        message: str,
        at: datetime,
        request_id: str = "",
        context: Mapping[str, Any] = ...,
    ) -> None:
        """Take one line. Never blocks, never raises."""
        ...


class NoLogs:
    """A sink for servers (and tests) without a log store."""

    def emit(
        self,
        *,
        source: str,
        level: str,
        message: str,
        at: datetime,
        request_id: str = "",
        context: Mapping[str, Any] | None = None,
    ) -> None:
        return None


class Secrets(Protocol):
    """The vault, as far as programs are concerned."""

    async def use(self, secret_id: str, *, used_by: str, scopes: Sequence[str]) -> Secret:
        """The value, where it is put in."""
        ...

    async def owner_of(self, secret_id: str, *, scopes: Sequence[str]) -> tuple[str, str]:
        """Whose a secret is, and the scope that has it."""
        ...
