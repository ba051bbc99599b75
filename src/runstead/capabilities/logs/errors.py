"""What can go wrong with logs."""

from __future__ import annotations

from runstead.kernel.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    TooLargeError,
    TooManyRequestsError,
    UnauthorizedError,
)


class BadBatchError(BadRequestError):
    """The batch holds events that cannot be stored."""


class BadQueryError(BadRequestError):
    """The query cannot be answered as it is asked."""


class SignatureError(UnauthorizedError):
    """The project key or the signature is missing or wrong."""


class BatchTooLargeError(TooLargeError):
    """The batch is larger than one may be."""


class RateLimitError(TooManyRequestsError):
    """Too many events or requests in a minute."""


class UnknownProjectError(NotFoundError):
    """There is no such project."""


class SlugTakenError(ConflictError):
    """There is a project with that slug already."""


class IdempotencyError(ConflictError):
    """This Idempotency-Key was used for another batch."""


class MaintenanceRunningError(ConflictError):
    """Maintenance is running already."""
