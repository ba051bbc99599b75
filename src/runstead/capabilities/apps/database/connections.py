"""The seam between sessions and the two databases. Everything here blocks and runs in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from runstead.capabilities.apps.database.statements import Result


class Connection(Protocol):
    """One connection to the database of one app. Used by one thread at a time."""

    dialect: Literal["sqlite", "postgresql"]

    def run(self, sql: str, parameters: Sequence[Any], *, is_reading: bool) -> Result:
        """One statement; outside of a transaction it is one of its own.

        :param is_reading: it may not change anything.
        :raises SqlError: the database refuses it.
        :raises SqlLimitError: it takes too long, or returns too much.
        """
        ...

    def control(self, statement: str) -> None:
        """A statement of ours: ``BEGIN``, ``COMMIT``, ``ROLLBACK``, savepoints."""
        ...

    @property
    def is_usable(self) -> bool:
        """Whether another session may have it."""
        ...

    def close(self) -> None:
        """Let go of it; what is not committed is undone."""
        ...


class Databases(Protocol):
    """Opens connections."""

    #: Whether two transactions that change something exclude each other.
    has_one_writer: bool

    def connect(self, app_id: str) -> Connection:
        """A connection to the database of an app, which is made when there is none."""
        ...

    def remove(self, app_id: str) -> None:
        """With all that is in it."""
        ...

    async def prepare(self, app_id: str) -> None:
        """What has to be done before :meth:`connect`, where that is not blocking."""
        ...
