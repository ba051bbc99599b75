"""From the parameters of a URL to a query; what does not fit is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from runstead.capabilities.logs.errors import BadQueryError
from runstead.capabilities.logs.model import (
    ENV_CHARS_MAX,
    LEVELS,
    REQUEST_ID_CHARS_MAX,
    SLUG_RULE,
    SOURCE_CHARS_MAX,
    TAGS_CHARS_MAX,
    USER_ID_CHARS_MAX,
    Cursor,
    Level,
    Query,
    is_slug,
    microseconds,
)
from runstead.capabilities.logs.search import QUERY_CHARS_MAX
from runstead.kernel.clock import parse_rfc3339
from runstead.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX

_PARAMETERS_MAX: Final = 50
_hash = re.compile("[0-9a-f]{40}").fullmatch
_number = re.compile("[0-9]{1,15}").fullmatch

_LEVEL_RULE: Final = f"one of {', '.join(LEVELS)}"
_MOMENT_RULE: Final = "RFC 3339 with an offset, or milliseconds since 1970"


def parse_query(query_string: bytes) -> tuple[Query, str | None]:
    """The query, and the slug that was asked for.

    :raises BadQueryError: every parameter that does not fit, by name.
    """
    given = _parameters(query_string)
    values: dict[str, Any] = {}
    problems: list[dict[str, str]] = []
    for name, texts in given.items():
        read = _READERS.get(name)
        try:
            if read is None:
                raise ValueError(f"is not known; known are {', '.join(_READERS)}")
            if len(texts) > 1 and name != "level":
                raise ValueError("was given more than once")
            values[_NAMES.get(name, name)] = read(",".join(texts))
        except ValueError as error:
            problems.append({"field": name, "message": str(error)})
    if problems:
        names = ", ".join(problem["field"] for problem in problems)
        raise BadQueryError(f"These parameters do not fit: {names}.", details={"errors": problems})
    slug = values.pop("project", None)
    return Query(**values), slug


def _parameters(query_string: bytes) -> Mapping[str, Sequence[str]]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, max_num_fields=_PARAMETERS_MAX
        )
    except ValueError:
        raise BadQueryError(
            f"The query of the URL is not ASCII, or has more than {_PARAMETERS_MAX} parameters."
        ) from None
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        # No text has a NUL in it; PostgreSQL would not even be asked for one.
        given.setdefault(name, []).append(value.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    return given


def _text(chars_max: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not 1 <= len(text) <= chars_max:
            raise ValueError(f"allowed: 1 to {chars_max} characters")
        return text

    return read


def _hexadecimal(text: str) -> str:
    if _hash(text) is None:
        raise ValueError("allowed: 40 hex digits in lower case")
    return text


def _slug(text: str) -> str:
    if not is_slug(text):
        raise ValueError(f"allowed: {SLUG_RULE}")
    return text


def _level(text: str) -> Level:
    if text not in LEVELS:
        raise ValueError(f"allowed: {_LEVEL_RULE}")
    return LEVELS[text]


def _levels(text: str) -> list[Level]:
    return [_level(one.strip()) for one in text.split(",")]


def _tags(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if len(text) > TAGS_CHARS_MAX or not all(names):
        raise ValueError(f"allowed: tags with commas between them, {TAGS_CHARS_MAX} characters in all")
    return names


def _moment(text: str) -> int:
    if _number(text):
        return int(text) * 1000
    try:
        # A plus that nobody escaped arrives as a space.
        return microseconds(parse_rfc3339(text.replace(" ", "+")))
    except (ValueError, OverflowError):
        raise ValueError(f"allowed: {_MOMENT_RULE}") from None


def _q(text: str) -> str | None:
    if len(text) > QUERY_CHARS_MAX:
        raise ValueError(f"allowed: at most {QUERY_CHARS_MAX} characters")
    return text if text.strip() else None


def _order(text: str) -> str:
    if text not in ("asc", "desc"):
        raise ValueError("allowed: asc, desc")
    return text


def _limit(text: str) -> int:
    if not _number(text) or not 1 <= int(text) <= PAGE_ROWS_MAX:
        raise ValueError(f"allowed: 1 to {PAGE_ROWS_MAX}; default {PAGE_ROWS_DEFAULT}")
    return int(text)


def _cursor(text: str) -> Cursor:
    try:
        return Cursor.parse(text)
    except ValueError:
        raise ValueError("allowed: the next_cursor of an answer") from None


_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "project": _slug,
    "level": _levels,
    "min_level": _level,
    "source": _text(SOURCE_CHARS_MAX),
    "env": _text(ENV_CHARS_MAX),
    "fingerprint": _hexadecimal,
    "group": _hexadecimal,
    "request_id": _text(REQUEST_ID_CHARS_MAX),
    "user_id": _text(USER_ID_CHARS_MAX),
    "tags": _tags,
    "since": _moment,
    "until": _moment,
    "q": _q,
    "order": _order,
    "limit": _limit,
    "cursor": _cursor,
}
#: Parameters whose field has another name.
_NAMES: Final = {"level": "levels"}
