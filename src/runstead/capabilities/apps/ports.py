"""What apps need from elsewhere; bootstrap connects it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol


class LogSink(Protocol):
    """Where the lines go that apps write to the console."""

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
