"""Telling others in this process that something was committed."""

from __future__ import annotations

import sqlalchemy

_KEY = "runstead.signals"


def signal(connection: sqlalchemy.Connection, name: str) -> None:
    """Ask, inside a work, that listeners of ``name`` are called once after its transaction was committed.

    They may also be called when the work failed beside one that succeeded: a signal says "look", never "it is there".
    """
    connection.info.setdefault(_KEY, {})[name] = True


def taken_signals(connection: sqlalchemy.Connection) -> list[str]:
    """The signals that were asked for on this connection, which are forgotten."""
    return list(connection.info.pop(_KEY, ()))
