"""What a sender or reader of records may be told."""

from __future__ import annotations

from collections.abc import Iterable

from runstead.kernel.errors import BadRequestError, ConflictError, NotFoundError, RunsteadError, TooLargeError


class InvalidRecordError(BadRequestError):
    """This is no record; details name every problem."""

    code = "E_RECORD"

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        super().__init__(details=[{"field": field, "message": message} for field, message in problems])


class RecordTooLargeError(TooLargeError):
    """A record is at most 10 MiB."""


class RunConflictError(ConflictError):
    """This run is recorded with other content. The first record stays as it is."""

    code = "E_RUN_CONFLICT"


class NoRecordError(NotFoundError):
    """There is no such record."""


class DamagedRecordError(RunsteadError):
    """What is stored under this run is not the record that was accepted; see ``runstead records verify``."""

    code = "E_RECORD_DAMAGED"
