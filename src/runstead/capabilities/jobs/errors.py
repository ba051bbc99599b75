"""What can go wrong with a job, beside the common errors."""

from __future__ import annotations

from runstead.kernel.errors import ConflictError, NotFoundError, UnavailableError, UnprocessableError


class CommandRefusedError(UnprocessableError):
    """The command is not one that can be run."""

    code = "E_COMMAND"


class NoSuchProgramError(NotFoundError):
    """There is no such program, or no such folder to run it in."""


class JobNotFoundError(NotFoundError):
    """There is no such job."""


class JobStateError(ConflictError):
    """The job is not in a state that allows that."""


class QueueFullError(UnavailableError):
    """Too many jobs are waiting."""
