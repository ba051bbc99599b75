"""What apps need from elsewhere; bootstrap connects it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

#: Ends what hangs on the name of an app that is removed, with the connection of the removal.
Release = Callable[[Any, str], None]


def release_nothing(_connection: Any, _app_id: str) -> None:
    """Nothing hangs on it."""


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
