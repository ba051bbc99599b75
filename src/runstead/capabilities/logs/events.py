"""From what a sender wrote to events that are ready to be stored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from runstead.capabilities.logs import fingerprint
from runstead.capabilities.logs.model import (
    CONTEXT_BYTES_MAX,
    ENV_CHARS_MAX,
    ENV_DEFAULT,
    FUTURE_MAX,
    LEVELS,
    MESSAGE_CHARS_MAX,
    MESSAGE_REST,
    REQUEST_ID_CHARS_MAX,
    SOURCE_CHARS_MAX,
    STACK,
    TAGS_CHARS_MAX,
    USER_ID_CHARS_MAX,
    LevelName,
    NewEvent,
    Problem,
    microseconds,
)
from runstead.kernel.clock import parse_rfc3339
from runstead.kernel.ids import new_id

_FUTURE_MICROSECONDS: Final = round(FUTURE_MAX.total_seconds() * 1_000_000)

#: PostgreSQL keeps no NUL in text; both databases get the sign for "there was something".
_NUL: Final = "\0"
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

_encode = msgspec.json.Encoder().encode


class EventIn(msgspec.Struct, kw_only=True, gc=False):
    """One event as it is sent. Any other field is kept in the context."""

    level: LevelName
    message: Annotated[str, Meta(min_length=1)]
    source: Annotated[str, Meta(min_length=1, max_length=SOURCE_CHARS_MAX)] | None = None
    env: Annotated[str, Meta(min_length=1, max_length=ENV_CHARS_MAX)] | None = None
    #: RFC 3339, or milliseconds since 1970. Both names are in use; ``ts`` wins.
    ts: str | int | float | None = None
    timestamp: str | int | float | None = None
    #: Both names are in use; when both are there they are merged, and ``context`` wins.
    ctx: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    stack: str | None = None
    user_id: Annotated[str, Meta(max_length=USER_ID_CHARS_MAX)] | int | None = None
    request_id: Annotated[str, Meta(max_length=REQUEST_ID_CHARS_MAX)] | None = None
    #: Text with commas, or a list; TAGS_CHARS_MAX in all.
    tags: str | list[str] | None = None


_TYPES: Final[Mapping[str, Any]] = {field.name: field.type for field in msgspec.structs.fields(EventIn)}
_REQUIRED: Final = ("level", "message")


class FieldError(ValueError):
    """A field of an event cannot be stored as it is."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of a batch."""

    events: Sequence[NewEvent]
    #: By index; an event may have several.
    problems: Sequence[Problem]


def prepare(raw: Sequence[Any], *, source_default: str, now: int) -> Prepared:
    """Check every event and make it ready.

    :param raw: decoded JSON; an exception in it stands for what was no JSON.
    :param now: microseconds since 1970.
    """
    events: list[NewEvent] = []
    problems: list[Problem] = []
    for index, one in enumerate(raw):
        try:
            given = msgspec.convert(one, EventIn)
            events.append(_ready(given, one, source_default, now))
        except msgspec.ValidationError:
            problems += _problems(index, one)
        except FieldError as error:
            problems.append(Problem(index, error.field, str(error)))
    return Prepared(events, problems)


def _ready(given: EventIn, raw: Mapping[str, Any], source_default: str, now: int) -> NewEvent:
    message = _clean(given.message)
    source = _clean(given.source) if given.source is not None else source_default
    stack = _clean(given.stack) if given.stack else ""
    sent = given.ts if given.ts is not None else given.timestamp
    return NewEvent(
        id=new_id(),
        ts=now if sent is None else _ts(sent, "ts" if given.ts is not None else "timestamp", now),
        level=LEVELS[given.level],
        message=message[:MESSAGE_CHARS_MAX],
        source=source,
        env=_clean(given.env) if given.env is not None else ENV_DEFAULT,
        context=_context(given, raw, message, stack),
        fingerprint=fingerprint.fingerprint(message, source, stack),
        group=fingerprint.group(message),
        request_id=_clean(given.request_id or ""),
        user_id=_clean(str(given.user_id)) if given.user_id is not None else "",
        tags=_tags(given.tags) if given.tags else "",
    )


def _clean(text: str) -> str:
    return text.replace(_NUL, _REPLACEMENT) if _NUL in text else text


def _ts(sent: str | float, field: str, now: int) -> int:
    """Microseconds since 1970.

    :raises FieldError: it is no time, or none that can be.
    """
    if isinstance(sent, str):
        try:
            micros = microseconds(parse_rfc3339(sent))
        except (ValueError, OverflowError):
            raise FieldError(field, "found text that is no RFC 3339 time with an offset") from None
    else:
        micros = round(sent * 1000) if math.isfinite(sent) else -1
    if micros < 0:
        raise FieldError(field, "found a time before 1970, allowed: RFC 3339 or milliseconds since 1970")
    if micros > now + _FUTURE_MICROSECONDS:
        raise FieldError(field, "found a time more than 24 hours in the future")
    return micros


def _context(given: EventIn, raw: Mapping[str, Any], message: str, stack: str) -> str:
    """The context as JSON, with what has no column of its own.

    :raises FieldError: what the sender put there is too large.
    """
    context = given.context or {}
    if given.ctx:
        context = {**given.ctx, **context}
    unknown = raw.keys() - _TYPES.keys()
    if unknown:
        context = {**context, **{_free(name, context): raw[name] for name in raw if name in unknown}}
    try:
        text = _encode(context) if context else b"{}"
    except RecursionError:
        raise FieldError("context", "found too many levels") from None
    if len(text) > CONTEXT_BYTES_MAX:
        raise FieldError("context", f"found {len(text)} bytes of JSON, allowed: at most {CONTEXT_BYTES_MAX}")
    # Ours are added as text: a stack is large, and is not part of what the sender is limited in.
    if stack:
        text = _with(text, _free(STACK, context), stack)
    if len(message) > MESSAGE_CHARS_MAX:
        text = _with(text, _free(MESSAGE_REST, context), message[MESSAGE_CHARS_MAX:])
    return text.decode()


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name = "_" + name
    return name


def _with(text: bytes, name: str, value: str) -> bytes:
    comma = b"" if text == b"{}" else b","
    return b'%s%s"%s":%s}' % (text[:-1], comma, name.encode(), _encode(value))


def _tags(sent: str | list[str]) -> str:
    """Tags between commas.

    :raises FieldError: they are too long.
    """
    text = ",".join(sent) if isinstance(sent, list) else sent
    names = dict.fromkeys(name.strip() for name in _clean(text).split(","))
    names.pop("", None)
    joined = ",".join(names)
    if len(joined) > TAGS_CHARS_MAX:
        raise FieldError("tags", f"found {len(joined)} characters, allowed: at most {TAGS_CHARS_MAX} in all")
    return f",{joined}," if joined else ""


def _problems(index: int, raw: Any) -> Iterator[Problem]:
    """Every field of an event that does not fit; slow, for events that are known to be bad."""
    if isinstance(raw, Exception):
        yield Problem(index, "", f"found no JSON: {raw}")
        return
    if not isinstance(raw, dict):
        yield Problem(index, "", "found no JSON object")
        return
    for name in _REQUIRED:
        if name not in raw:
            yield Problem(index, name, "is missing")
    for name, kind in _TYPES.items():
        if name in raw:
            try:
                msgspec.convert(raw[name], kind)
            except msgspec.ValidationError as error:
                yield Problem(index, name, _said(error))


def _said(error: msgspec.ValidationError) -> str:
    # "Expected `str`, got `int` - at `$[0]`": the place is told apart.
    return str(error).partition(" - at ")[0].replace("`", "'")
