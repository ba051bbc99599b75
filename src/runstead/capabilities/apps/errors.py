"""What can go wrong with an app, beside the common errors."""

from __future__ import annotations

from runstead.kernel.errors import (
    ConflictError,
    NotFoundError,
    PreconditionFailedError,
    RequestTimeoutError,
    RunsteadError,
    UnprocessableError,
)


class AppNotFoundError(NotFoundError):
    """There is no such app."""


class AppInitError(UnprocessableError):
    """The app could not be initialised; the version before goes on serving."""

    code = "E_APP_INIT"


class AppFailedError(RunsteadError):
    """The app failed."""

    code = "E_SCRIPT"
    status = 500


class AppResponseError(RunsteadError):
    """The app returned something that is no response."""

    code = "E_APP_RESPONSE"
    status = 502


class AppTimeoutError(RequestTimeoutError):
    """The app did not answer in time."""


class RouteConflictError(ConflictError):
    """Another app serves this route already."""

    code = "E_ROUTE_CONFLICT"


class VersionConflictError(PreconditionFailedError):
    """Somebody else has put a newer version meanwhile."""

    code = "E_VERSION_CONFLICT"

    def __init__(self, expected: int, current: int) -> None:
        """Say which one was expected, and which one there is."""
        super().__init__(
            f"version {current} is the newest, not {expected}",
            details={"expected": expected, "current": current},
        )
        self.expected = expected
        self.current = current
