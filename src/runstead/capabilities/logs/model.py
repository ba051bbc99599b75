"""The values of logs: projects, events, what is asked for and what is answered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final, Literal

from runstead.kernel.limits import KIB
from runstead.kernel.secret import Secret

#: Bytes of a batch, as sent and after decompression. Room for 250 events of 2 KiB.
BATCH_BYTES_MAX: Final = 512 * KIB
BATCH_EVENTS_MAX: Final = 250

#: Characters of a message that stay in its column; the rest goes to the context under MESSAGE_REST.
MESSAGE_CHARS_MAX: Final = 1024
SOURCE_CHARS_MAX: Final = 64
ENV_CHARS_MAX: Final = 32
REQUEST_ID_CHARS_MAX: Final = 64
USER_ID_CHARS_MAX: Final = 128
TAGS_CHARS_MAX: Final = 128
#: Bytes of an event's context as JSON.
CONTEXT_BYTES_MAX: Final = 32 * KIB
#: How far a sender's clock may be ahead of ours.
FUTURE_MAX: Final = timedelta(hours=24)

#: Seconds that a repeated Idempotency-Key gets the first answer. Whoever retries for longer than a day starts anew.
IDEMPOTENCY_SECONDS: Final = 24 * 3600

ENV_DEFAULT: Final = "production"

#: Context keys that are ours. A client's own key of the same name keeps its place; ours then gets an underscore in front.
STACK: Final = "stack"
MESSAGE_REST: Final = "message_rest"

#: Days that events are kept.
RETENTION_DAYS_MAX: Final = 30
MINUTE_CAP_MAX: Final = 10_000_000

#: The project of the server's own sources.
OWN_PROJECT: Final = "runstead"

SLUG_PATTERN: Final = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"
SLUG_RULE: Final = "1 to 63 lower-case letters, digits and inner dashes"
NAME_CHARS_MAX: Final = 100

_slug = re.compile(SLUG_PATTERN.removesuffix("$"))

LevelName = Literal["debug", "info", "warn", "error", "fatal"]
Order = Literal["asc", "desc"]


class Level(IntEnum):
    """How bad it is. The numbers are stored and leave room between them."""

    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50

    @property
    def label(self) -> str:
        """The name on the wire."""
        return _LABELS[self]

    @classmethod
    def named(cls, name: str) -> Level:
        """The level of a name on the wire.

        :raises KeyError: for any other name.
        """
        return LEVELS[name]


_LABELS: Final = {level: level.name.lower() for level in Level}
LEVELS: Final[Mapping[str, Level]] = {label: level for level, label in _LABELS.items()}

#: Names that our own sources use for the same five.
_SYNONYMS: Final = {"trace": "debug", "notice": "info", "warning": "warn", "critical": "fatal"}


def level_of(name: str) -> Level:
    """The level that comes nearest to any name: what has no better one is information."""
    name = name.lower()
    return LEVELS.get(_SYNONYMS.get(name, name), Level.INFO)


def is_slug(text: str) -> bool:
    """Whether the text may name a project."""
    return _slug.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A sender of logs."""

    id: int
    slug: str
    name: str
    #: SHA-256 of the project key, in hex.
    key_hash: str
    #: Events a minute.
    minute_cap: int
    retention_days: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a project's sender needs. Shown once."""

    project_key: Secret
    hmac_secret: Secret


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that is ready to be stored. Times are integer microseconds since 1970."""

    id: str
    ts: int
    level: int
    message: str
    source: str
    env: str
    #: A JSON object as text.
    context: str
    fingerprint: str
    group: str
    request_id: str
    user_id: str
    #: ``,a,b,`` so that one tag is found by ``,a,``; empty for none.
    tags: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was read."""

    seq: int
    project: str
    created_at: int
    event: NewEvent


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after one event in the order of ``(ts, seq)``."""

    ts: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ts + _BIAS:016x}-{self.seq:016x}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what ``str()`` made.

        :raises ValueError: for anything else.
        """
        if not _cursor(text):
            raise ValueError("not a cursor")
        ts, seq = text.split("-")
        return cls(min(int(ts, 16) - _BIAS, _INT64_MAX), min(int(seq, 16), _INT64_MAX))


#: Makes times before 1970 positive, so that the text has no sign.
_BIAS: Final = 1 << 62
_INT64_MAX: Final = (1 << 63) - 1
CURSOR_PATTERN: Final = "^[0-9a-f]{16}-[0-9a-f]{16}$"
_cursor = re.compile(CURSOR_PATTERN.removesuffix("$")).fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to look for. None (or empty) means: whatever."""

    project_id: int | None = None
    #: None: all that there are.
    projects: Sequence[int] | None = None
    levels: Sequence[Level] = ()
    min_level: Level | None = None
    source: str | None = None
    env: str | None = None
    fingerprint: str | None = None
    group: str | None = None
    request_id: str | None = None
    user_id: str | None = None
    #: All of them.
    tags: Sequence[str] = ()
    #: Microseconds; since is inclusive, until is not.
    since: int | None = None
    until: int | None = None
    q: str | None = None
    order: Order = "desc"
    limit: int = 50
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one event of a batch."""

    index: int
    field: str
    message: str

    def to_json(self) -> dict[str, Any]:
        return {"index": self.index, "field": self.field, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer to a batch. It is stored with its idempotency key, so that a repeated batch gets the same."""

    received: int
    processed: int
    request_id: str
    problems: Sequence[Problem] = field(default=())

    def to_json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "received": self.received,
            "processed": self.processed,
            "requestId": self.request_id,
        }
        if self.problems:
            answer["errors"] = [problem.to_json() for problem in self.problems]
        return answer


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """An aware datetime as integer microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(micros: int) -> datetime:
    """The inverse of :func:`microseconds`."""
    return _EPOCH + timedelta(microseconds=micros)
