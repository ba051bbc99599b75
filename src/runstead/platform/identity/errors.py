"""What goes wrong with people and their credentials."""

from __future__ import annotations

import math

from runstead.kernel.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
    UnprocessableError,
)


class LockedError(TooManyRequestsError):
    """Too many wrong credentials; wait before the next try."""

    code = "E_LOCKED"

    def __init__(self, seconds: float) -> None:
        """:param seconds: until the next try is let through."""
        wait = max(1, math.ceil(seconds))
        super().__init__(headers={"Retry-After": str(wait)}, details={"retry_after": wait})


class SignInError(UnauthorizedError):
    """That name and password do not fit together."""


class SecondFactorError(UnauthorizedError):
    """A second factor is needed."""

    code = "E_SECOND_FACTOR"


class StepUpError(ForbiddenError):
    """This needs a fresh proof of who you are: sign in again."""

    code = "E_STEP_UP"


class LinkError(NotFoundError):
    """This link was used, has expired, or never was one."""

    code = "E_LINK"


class UserNotFoundError(NotFoundError):
    """There is no such person."""


class GroupNotFoundError(NotFoundError):
    """There is no such group."""


class TakenError(ConflictError):
    """Somebody else has that name or that mail address."""

    code = "E_TAKEN"


class WeakPasswordError(UnprocessableError):
    """This password is too easy to guess."""

    code = "E_WEAK_PASSWORD"


class LastAdministratorError(ConflictError):
    """Somebody must remain who can administrate."""

    code = "E_LAST_ADMINISTRATOR"


class CycleError(ConflictError):
    """A group cannot be in itself, also not through others."""

    code = "E_CYCLE"


class TooManyError(ConflictError):
    """There are as many of these as there may be."""

    code = "E_TOO_MANY"
