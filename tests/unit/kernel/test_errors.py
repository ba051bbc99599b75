from __future__ import annotations

from runstead.kernel.errors import ConflictError, NotFoundError, RunsteadError, TooManyRequestsError


def test_the_docstring_is_the_default_message() -> None:
    assert NotFoundError().message == "There is no such thing here."
    assert str(NotFoundError("no such job")) == "no such job"


def test_the_envelope_has_one_shape() -> None:
    assert ConflictError("taken", details={"id": "a"}).envelope("r1") == {
        "error": {"code": "E_CONFLICT", "message": "taken", "details": {"id": "a"}, "request_id": "r1"}
    }
    assert "details" not in RunsteadError().envelope("r1")["error"]


def test_headers_travel_with_the_error() -> None:
    assert TooManyRequestsError(headers={"Retry-After": "3"}).headers == {"Retry-After": "3"}


def test_every_error_has_a_code_a_status_and_a_message() -> None:
    pending = [RunsteadError]
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        assert error.code.startswith("E_")
        assert 400 <= error.status <= 599
        if error.__module__ == RunsteadError.__module__:
            assert error().message
