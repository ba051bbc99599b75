"""What a record is: the document that a sender hands in, its rules, and the sealed envelope that is kept. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runstead.capabilities.records.canonical import (
    INTEGER_MAX,
    PROBLEMS_MAX,
    NotCanonicalError,
    canonical_json,
)
from runstead.capabilities.records.errors import DamagedRecordError, InvalidRecordError, RecordTooLargeError
from runstead.kernel.clock import parse_rfc3339, rfc3339
from runstead.kernel.limits import MIB

#: Of the envelope. A reader that meets a higher number must not guess.
SCHEMA_VERSION: Final = 1

#: A record, as it is sent and in its canonical form.
RECORD_BYTES_MAX: Final = 10 * MIB

NAME_PATTERN: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
NAME_RULE: Final = "1 to 128 of the characters A-Z a-z 0-9 . _ -, not beginning with a dot"

MOMENT_RULE: Final = "RFC 3339 with an offset, of the years 1000 to 9999"

#: What the sender decides, and what the hash is taken of.
CONTENT_FIELDS: Final = (
    "artifact",
    "commit_sha",
    "diff",
    "generated_at",
    "metadata",
    "organization",
    "project",
    "run_id",
    "service",
    "summary",
)
REQUIRED_FIELDS: Final = ("organization", "project", "service", "artifact")

_NAME = re.compile(NAME_PATTERN)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose runs: each service has its own run ids."""

    organization: str
    project: str
    service: str

    @classmethod
    def parse(cls, organization: str, project: str, service: str) -> Scope:
        """Check the names.

        :raises InvalidRecordError: naming each that is none.
        """
        given = {"organization": organization, "project": project, "service": service}
        problems = [(field, f"allowed: {NAME_RULE}") for field, name in given.items() if not is_name(name)]
        if problems:
            raise InvalidRecordError(problems)
        return cls(organization, project, service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A valid document in normal form: no nulls, the run has an id, moments are in UTC."""

    scope: Scope
    run_id: str
    commit_sha: str | None
    #: RFC 3339 in UTC with microseconds.
    generated_at: str | None
    #: Field of the content → its canonical JSON.
    parts: Mapping[str, bytes]
    #: Hex SHA-256 of the content's canonical JSON: the same for the same content, whoever sends it and when.
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The record is kept, durably."""

    scope: Scope
    run_id: str
    #: The key in the object store, the same on every kind of store.
    location: str
    #: It was there already, with the same content.
    duplicate: bool


def is_name(text: str) -> bool:
    """Whether this may stand for an organization, project, service, run or commit."""
    return _NAME.fullmatch(text) is not None


def parse_document(body: bytes) -> dict[str, Any]:
    """Read what a sender sent.

    :raises InvalidRecordError: for anything but one JSON object without repeated keys.
    """
    if len(body) > RECORD_BYTES_MAX:
        raise RecordTooLargeError(details={"bytes_max": RECORD_BYTES_MAX})
    try:
        document = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidRecordError([("body", f"byte {error.start} is not UTF-8")]) from None
    except RecursionError:
        raise InvalidRecordError([("body", "nested too deeply")]) from None
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}"
        raise InvalidRecordError([("body", f"not one JSON object: {error.msg} at {at}")]) from None
    except ValueError as error:
        # Repeated keys and constants, named by the hooks below; or an integer of thousands of digits.
        message = str(error) if isinstance(error, _HookError) else "found an integer of thousands of digits"
        raise InvalidRecordError([("body", message)]) from None
    if not isinstance(document, dict):
        raise InvalidRecordError([("body", "allowed: a JSON object")])
    return document


class _HookError(ValueError):
    """Valid for Python's parser, not for us."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _HookError(f"found the key {json.dumps(repeated[:100])} more than once in one object")
    return found


def _no_constant(name: str) -> Any:
    raise _HookError(f"found {name}, which is not JSON")


def normalise(document: Mapping[str, Any], *, new_run_id: Callable[[], str]) -> Submission:
    """Check a document and bring it into normal form.

    An optional field that is null counts as absent.

    :raises InvalidRecordError: naming every problem.
    :raises RecordTooLargeError: when the canonical form has more than :data:`RECORD_BYTES_MAX` bytes.
    """
    given = {name: value for name, value in document.items() if value is not None}
    problems = [(name, "required") for name in REQUIRED_FIELDS if name not in given]
    problems += [(str(name)[:100], "unknown field") for name in document if name not in CONTENT_FIELDS]
    given.setdefault("run_id", new_run_id())
    parts: dict[str, bytes] = {}
    for name in CONTENT_FIELDS:
        if name in given:
            try:
                given[name] = _normal(name, given[name])
                parts[name] = canonical_json(given[name], name)
            except NotCanonicalError as error:
                problems += error.problems
    if problems:
        raise InvalidRecordError(problems[:PROBLEMS_MAX])
    content = _join(parts)
    if len(content) > RECORD_BYTES_MAX:
        raise RecordTooLargeError(details={"bytes_max": RECORD_BYTES_MAX})
    return Submission(
        scope=Scope(given["organization"], given["project"], given["service"]),
        run_id=given["run_id"],
        parts=parts,
        sha256=hashlib.sha256(content).hexdigest(),
        commit_sha=given.get("commit_sha"),
        generated_at=given.get("generated_at"),
    )


def _normal(name: str, value: Any) -> Any:
    """The value of this field in normal form.

    :raises NotCanonicalError: when the field does not take it.
    """
    if name in ("artifact", "diff", "metadata"):
        if not isinstance(value, dict):
            raise NotCanonicalError([(name, "allowed: an object")])
    elif not isinstance(value, str):
        raise NotCanonicalError([(name, "allowed: text")])
    elif name == "generated_at":
        moment = parse_moment(value)
        if moment is None:
            raise NotCanonicalError([(name, f"allowed: {MOMENT_RULE}")])
        return rfc3339(moment)
    elif name != "summary" and not is_name(value):
        raise NotCanonicalError([(name, f"allowed: {NAME_RULE}")])
    return value


def parse_moment(text: str) -> datetime | None:
    """A moment as :data:`MOMENT_RULE` has it; None for anything else. Digits beyond microseconds are dropped."""
    if _RFC3339.fullmatch(text) is None:
        return None
    try:
        moment = parse_rfc3339(text.upper())
    except (ValueError, OverflowError):
        return None
    # Four digits of a year, so that texts sort as moments do.
    return moment if moment.year >= 1000 else None


def _join(parts: Mapping[str, bytes]) -> bytes:
    """The canonical object of canonical values. The names are ASCII, so that any order of characters is UTF-16's."""
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), parts[name]) for name in sorted(parts)) + b"}"


def seal(submission: Submission, *, key: str, received_at: datetime, sent_by: str) -> bytes:
    """The envelope that is kept: the content and what this server knows of it, as canonical JSON."""
    added: dict[str, Any] = {
        "key": key,
        "received_at": rfc3339(received_at),
        "schema_version": SCHEMA_VERSION,
        "sent_by": sent_by,
        "sha256": submission.sha256,
    }
    return _join({**submission.parts, **{name: canonical_json(value) for name, value in added.items()}})


def open_envelope(data: bytes) -> dict[str, Any]:
    """Read an envelope that is kept.

    :raises DamagedRecordError: when it is not one.
    """
    try:
        envelope = json.loads(data, parse_int=_number)
        if all(isinstance(envelope[name], str) for name in ("run_id", "received_at", "sha256", "key")):
            return dict(envelope)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise DamagedRecordError


def _number(text: str) -> int | float:
    """Canonical JSON writes the double 1e20 as an integer. Such ones are doubles still; real integers are never so large."""
    number = int(text)
    return number if -INTEGER_MAX <= number <= INTEGER_MAX else float(text)


def content_sha256(envelope: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the content of an envelope, computed anew: what its ``sha256`` must be.

    :raises NotCanonicalError: when the content cannot have come from here.
    """
    content = {name: envelope[name] for name in CONTENT_FIELDS if name in envelope}
    return hashlib.sha256(canonical_json(content)).hexdigest()
