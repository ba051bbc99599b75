"""What can go wrong with an app, beside the common errors."""

from __future__ import annotations

from runstead.kernel.errors import (
    ConflictError,
    NotFoundError,
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
