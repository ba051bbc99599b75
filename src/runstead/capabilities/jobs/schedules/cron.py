"""Cron expressions, as Debian's cron reads them, by the library ``cronsim``: five fields, or six with seconds first.

When clocks go forward, a time that does not exist is run right after; when they go back, a time that comes twice is run once
(expressions of five fields with fixed hours; others follow the clock on the wall).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from runstead.kernel.errors import UnprocessableError

CRON_CHARS_MAX: Final = 200
NEXT_TIMES: Final = 10
#: Names that Debian's cron knows.
_NAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class CronError(UnprocessableError):
    """That is no cron expression."""

    code = "E_CRON"


def times(expression: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """When it fires, in UTC, from the first time after a moment.

    :raises CronError: the expression or the time zone is none.
    """
    from cronsim import CronSim, CronSimError

    zone = zone_of(time_zone)
    text = _NAMES.get(expression.strip().lower(), expression)
    try:
        found = CronSim(text, after.astimezone(zone))
    except (CronSimError, ValueError, TypeError) as error:
        raise CronError(
            f"{expression!r} is no cron expression: {error}", details={"field": "cron"}
        ) from error
    return (moment.astimezone(UTC) for moment in found)


def next_time(expression: str, time_zone: str, after: datetime) -> datetime | None:
    """The first time after a moment; None: never, as on the 30th of February."""
    return next(times(expression, time_zone, after), None)


def next_times(expression: str, time_zone: str, after: datetime, count: int = NEXT_TIMES) -> list[datetime]:
    """The next few times."""
    return list(islice(times(expression, time_zone, after), count))


def zone_of(name: str) -> ZoneInfo:
    """:raises CronError: there is no such time zone."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise CronError(
            f"{name[:64]!r} is no time zone; allowed: a name such as Europe/Berlin",
            details={"field": "time_zone"},
        ) from error
