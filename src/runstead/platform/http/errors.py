"""From any exception to the one envelope."""

from __future__ import annotations

from typing import Final

from litestar.exceptions import HTTPException, LitestarException, ValidationException

from runstead.kernel.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RequestTimeoutError,
    RunsteadError,
    TooLargeError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
    UnprocessableError,
)


class MethodNotAllowedError(RunsteadError):
    """This path does not take that method."""

    code = "E_METHOD_NOT_ALLOWED"
    status = 405


class NotAcceptableError(RunsteadError):
    """None of the media types that you accept can be made here."""

    code = "E_NOT_ACCEPTABLE"
    status = 406


class MisdirectedError(RunsteadError):
    """This server does not answer for that host name."""

    code = "E_HOST"
    status = 421


class UnsupportedMediaTypeError(RunsteadError):
    """The body has a media type that this route does not take."""

    code = "E_UNSUPPORTED_MEDIA_TYPE"
    status = 415


_BY_STATUS: Final[dict[int, type[RunsteadError]]] = {
    error.status: error
    for error in (
        BadRequestError,
        UnauthorizedError,
        ForbiddenError,
        NotFoundError,
        MethodNotAllowedError,
        NotAcceptableError,
        RequestTimeoutError,
        ConflictError,
        TooLargeError,
        UnsupportedMediaTypeError,
        UnprocessableError,
        TooManyRequestsError,
        UnavailableError,
    )
}


def public_error(error: BaseException) -> RunsteadError:
    """What the client may know of this exception. An unknown one becomes ``E_INTERNAL`` without any text of its own."""
    if isinstance(error, RunsteadError):
        return error
    if isinstance(error, HTTPException):
        return _from_litestar(error)
    if isinstance(error, LitestarException) and error.__cause__ is not None:
        return public_error(error.__cause__)
    return RunsteadError()


def _from_litestar(error: HTTPException) -> RunsteadError:
    kind = _BY_STATUS.get(error.status_code)
    if kind is None:
        kind = BadRequestError if 400 <= error.status_code < 500 else None
    if kind is None:
        return RunsteadError()
    headers = {name.title(): value for name, value in (error.headers or {}).items()}
    if isinstance(error, ValidationException):
        return kind("The request does not fit: see details.", details=_problems(error), headers=headers)
    if kind in (NotFoundError, MethodNotAllowedError):
        return kind(headers=headers)
    return kind(error.detail or None, headers=headers)


def _problems(error: ValidationException) -> object:
    extra = error.extra
    if not isinstance(extra, list):
        return extra
    return [
        {
            # Litestar's name for the body as a whole is that of the handler's parameter.
            "field": "" if problem.get("key") == "data" else str(problem.get("key", "")),
            "in": str(getattr(problem.get("source"), "value", problem.get("source", "body"))),
            "message": str(problem.get("message", "")),
        }
        for problem in extra
        if isinstance(problem, dict)
    ]
