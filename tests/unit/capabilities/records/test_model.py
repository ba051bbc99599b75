from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runstead.capabilities.records.errors import DamagedRecordError, InvalidRecordError
from runstead.capabilities.records.model import (
    content_sha256,
    normalise,
    open_envelope,
    parse_document,
    parse_moment,
    seal,
)
from runstead.kernel.clock import rfc3339

T = TypeVar("T")

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = [
    "organization",
    "project",
    "service",
    "run_id",
    "commit_sha",
    "generated_at",
    "artifact",
    "diff",
    "summary",
    "x",
]


def attempt(call: Callable[[], T]) -> T | InvalidRecordError:
    """What comes back, or the refusal."""
    try:
        return call()
    except InvalidRecordError as error:
        return error


def document(**changes: Any) -> dict[str, Any]:
    return {"organization": "o", "project": "p", "service": "s", "artifact": {"n": 1}, **changes}


def sha256(**changes: Any) -> str:
    return normalise(document(run_id="r", **changes), new_run_id=lambda: "new").sha256


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_document_is_valid_or_refused_by_name(given_document: dict[str, Any]) -> None:
    submission = attempt(lambda: normalise(given_document, new_run_id=lambda: "new"))
    if isinstance(submission, InvalidRecordError):
        assert submission.details
        assert all(problem["field"] and problem["message"] for problem in submission.details)
    else:
        assert submission.scope.organization == given_document["organization"]


@given(st.binary())
@example(b"\x00")
@example(b'{"a":1e400}')
def test_any_bytes_are_a_document_or_refused(body: bytes) -> None:
    found = attempt(lambda: parse_document(body))
    if isinstance(found, InvalidRecordError):
        assert found.details[0]["field"] == "body"
    else:
        assert isinstance(found, dict)


def test_the_hash_is_stable() -> None:
    # Changing this breaks every record that exists.
    assert sha256(artifact={"b": [1, 2.50, "ö"], "a": None}, summary="s") == (
        "c3419b3d08efa92948955b5961445c99f594926699169b6ce15f9d8d90a0b7d3"
    )


def test_the_hash_is_of_the_content_alone() -> None:
    assert sha256() == sha256(summary=None, diff=None)
    assert sha256(generated_at="2026-01-31T12:00:00+01:00") == sha256(generated_at="2026-01-31t11:00:00.0z")
    assert (
        len({sha256(), sha256(summary=""), sha256(diff={}), sha256(artifact={}), sha256(artifact={"n": "1"})})
        == 5
    )
    assert sha256(artifact={"n": 1.0}) == sha256(artifact={"n": 1})


@given(JSON.filter(lambda value: isinstance(value, dict)))
def test_an_envelope_proves_its_content(artifact: dict[str, Any]) -> None:
    submission = attempt(lambda: normalise(document(artifact=artifact), new_run_id=lambda: "new"))
    if isinstance(submission, InvalidRecordError):
        return
    sealed = seal(submission, key="k", received_at=NOW, sent_by="me")
    envelope = open_envelope(sealed)
    assert envelope["sha256"] == submission.sha256 == content_sha256(envelope)
    assert list(envelope) == sorted(envelope)
    assert json.loads(sealed)["received_at"] == rfc3339(NOW)


def test_a_new_id_is_made_only_when_none_is_given() -> None:
    assert normalise(document(), new_run_id=lambda: "new").run_id == "new"
    assert normalise(document(run_id=None), new_run_id=lambda: "new").run_id == "new"
    assert normalise(document(run_id="given"), new_run_id=lambda: "new").run_id == "given"


@given(st.datetimes(datetime(1000, 1, 3), datetime(9999, 12, 29)), st.integers(-1439, 1439))
def test_every_moment_is_read_whatever_its_offset(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_moment(moment.isoformat()) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-W05-6T12:00:00Z",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00.1234567891Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00+0100",
        "0999-12-31T12:00:00Z",
        "1000-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "٢٠٢٦-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z\n",
    ],
)
def test_what_is_no_moment_is_none(text: str) -> None:
    assert parse_moment(text) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"run_id":1}', b"[" * 100_000])
def test_what_is_no_envelope_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        open_envelope(data)
