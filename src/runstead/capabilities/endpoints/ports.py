"""What endpoints need from elsewhere; bootstrap connects it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from runstead.capabilities.endpoints.model import RunReport
from runstead.kernel.secret import Secret


class LogSink(Protocol):
    """Where the lines go that programs write to stderr."""

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


class Redactor(Protocol):
    """Knows the secrets of this server."""

    def redact(self, data: bytes) -> bytes:
        """The same bytes with every registered secret masked."""
        ...


class RunRecorder(Protocol):
    """Where results go that are to be kept for ever."""

    async def finished(self, report: RunReport, answer: Mapping[str, Any] | None) -> None:
        """Take a run that has ended, durably: when this returns, it cannot be lost."""
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


class NoSecrets:
    """A redactor that knows no secret."""

    def redact(self, data: bytes) -> bytes:
        return data


class Vault(Protocol):
    """Where secrets are."""

    async def use(self, secret_id: str, *, used_by: str, scopes: Sequence[str]) -> Secret:
        """The value, where it is put in."""
        ...
