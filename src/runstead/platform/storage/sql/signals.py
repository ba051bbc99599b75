"""Telling others in this process that something was committed."""

from __future__ import annotations

from typing import Any

import sqlalchemy

_KEY = "runstead.signals"


def signal(connection: sqlalchemy.Connection, name: str) -> None:
    """Ask, inside a work, that listeners of ``name`` are called once after its transaction was committed.

    They may also be called when the work failed beside one that succeeded: a signal says "look", never "it is there".
    """
    connection.info.setdefault(_KEY, {})[name] = True


def take_signals(info: dict[Any, Any]) -> list[str]:
    """The signals in the ``info`` of a connection, which are forgotten there."""
    return list(info.pop(_KEY, ()))
