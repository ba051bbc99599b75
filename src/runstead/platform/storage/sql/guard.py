"""A work neither commits nor rolls back; only the code that gave it the connection does."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy
from sqlalchemy import event

_KEY = "runstead.ending"


def guard(engine: sqlalchemy.Engine) -> None:
    """Refuse every commit and rollback on this engine that is not made through :func:`end`."""
    event.listen(engine, "commit", _refuse)
    event.listen(engine, "rollback", _refuse)


def end(connection: sqlalchemy.Connection, ending: Callable[[], None]) -> None:
    """Call the ``commit`` or ``rollback`` of the connection's transaction."""
    info = connection.info
    info[_KEY] = True
    try:
        ending()
    finally:
        # Not through the connection: a failing commit may have taken it away.
        info[_KEY] = False


def _refuse(connection: sqlalchemy.Connection) -> None:
    if not connection.info.get(_KEY):
        raise RuntimeError(
            "a work neither commits nor rolls back: others may share its transaction; to undo, raise"
        )
