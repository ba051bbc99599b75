"""Moments in request bodies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from runstead.kernel.errors import BadRequestError

#: A text, not a datetime: the framework would take numbers for one, too.
Moment = Annotated[
    str,
    Meta(max_length=64, description="RFC 3339, with an offset.", extra_json_schema={"format": "date-time"}),
]


def moment_of(text: str | None, field: str) -> datetime | None:
    """The moment in UTC.

    :param field: for the error.
    :raises BadRequestError: it is none, or has no offset.
    """
    if text is None:
        return None
    try:
        found: datetime = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError as error:
        raise BadRequestError(
            f"{field}: found {text!r}, allowed: RFC 3339 with an offset, as 2030-01-01T00:00:00Z"
        ) from error
    try:
        return found.astimezone(UTC)
    except OverflowError:
        # The first and the last day of all: an offset leads beyond them.
        return found.replace(tzinfo=UTC)
