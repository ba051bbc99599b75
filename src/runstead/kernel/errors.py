"""The one error root. The public text is apart from the cause, which goes to the log under the same request id."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar


class RunsteadError(Exception):
    """Something went wrong."""

    #: Stable and machine-readable; what a client may switch on.
    code: ClassVar[str] = "E_INTERNAL"
    #: The HTTP status that the edge answers with.
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Build an error.

        :param message: safe to show to anyone; default: the first line of the class docstring.
        :param details: JSON-serialisable, also public.
        :param headers: extra response headers, such as ``Retry-After``.
        """
        self.message = message or (inspect.getdoc(type(self)) or "").split("\n", 1)[0]
        self.details = details
        self.headers = dict(headers or {})
        super().__init__(self.message)

    def envelope(self, request_id: str) -> dict[str, Any]:
        """The body on the wire: ``{"error": {"code", "message", "details"?, "request_id"}}``."""
        return error_envelope(self.code, self.message, request_id, self.details)


def error_envelope(code: str, message: str, request_id: str, details: Any = None) -> dict[str, Any]:
    """The one error shape, for errors that do not start as a :class:`RunsteadError`."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details is not None:
        error["details"] = details
    error["request_id"] = request_id
    return {"error": error}


class BadRequestError(RunsteadError):
    """The request is not what this route takes."""

    code = "E_BAD_REQUEST"
    status = 400


class UnauthorizedError(RunsteadError):
    """This needs a valid credential."""

    code = "E_AUTH"
    status = 401


class ForbiddenError(RunsteadError):
    """This credential does not allow that."""

    code = "E_FORBIDDEN"
    status = 403


class NotFoundError(RunsteadError):
    """There is no such thing here."""

    code = "E_NOT_FOUND"
    status = 404


class RequestTimeoutError(RunsteadError):
    """The request took longer than it may."""

    code = "E_TIMEOUT"
    status = 408


class ConflictError(RunsteadError):
    """That is in conflict with what is already there."""

    code = "E_CONFLICT"
    status = 409


class PreconditionFailedError(RunsteadError):
    """It changed since it was read."""

    code = "E_PRECONDITION"
    status = 412


class TooLargeError(RunsteadError):
    """The body is larger than this route takes."""

    code = "E_TOO_LARGE"
    status = 413


class UnprocessableError(RunsteadError):
    """The request is well-formed, but what it asks for cannot be done."""

    code = "E_UNPROCESSABLE"
    status = 422


class TooManyRequestsError(RunsteadError):
    """Too many requests."""

    code = "E_RATE_LIMIT"
    status = 429


class UnavailableError(RunsteadError):
    """The server cannot do this right now; try again later."""

    code = "E_BUSY"
    status = 503
