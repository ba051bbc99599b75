"""What apps need from elsewhere; bootstrap connects it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from runstead.kernel.secret import Secret

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


class Secrets(Protocol):
    """The vault, as far as scripts reach: no value leaves it but by :meth:`use`, into a request."""

    async def use(self, secret_id: str, *, used_by: str, scopes: Sequence[str]) -> Secret:
        """The value, where it is put in."""
        ...

    async def names(self, scopes: Sequence[str]) -> Sequence[str]:
        """The ids that :meth:`use` would find."""
        ...

    async def put(self, secret_id: str, value: Secret, *, scope: str) -> None:
        """Make a secret, or give it another value."""
        ...

    async def discard(self, secret_id: str, *, scope: str) -> bool:
        """Remove a secret; False: there was none."""
        ...

    async def delete_scope(self, scope: str) -> int:
        """Remove all of a scope; how many."""
        ...


class Masker(Protocol):
    """Knows the server's secrets."""

    def scrub_text(self, text: str) -> str:
        """The text with every secret masked."""
        ...
