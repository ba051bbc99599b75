"""Fields that every log line of a piece of work carries, such as the request id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Final

_EMPTY: Final[Mapping[str, Any]] = {}
_fields: ContextVar[Mapping[str, Any]] = ContextVar("runstead_log_fields", default=_EMPTY)


def current_fields() -> Mapping[str, Any]:
    """What holds for the running task. Read only."""
    return _fields.get()


def set_fields(fields: Mapping[str, Any]) -> Token[Mapping[str, Any]]:
    """Replace the fields; give the token to :func:`reset_fields`. The mapping may be changed afterwards by its owner."""
    return _fields.set(fields)


def reset_fields(token: Token[Mapping[str, Any]]) -> None:
    """Undo :func:`set_fields`."""
    _fields.reset(token)


@contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Add fields to every log line of this block, also in the tasks that it starts."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)
