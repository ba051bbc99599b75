"""The section ``[limits]``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from runstead.platform.config import SectionSpec

By = Literal["address", "user", "tenant", "everyone"]

_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_RATE: Final = re.compile(r"(\d{1,6}) ?/ ?(?:(\d{1,4}) ?)?(second|minute|hour|day)s?")

#: Each request of a window is remembered.
AMOUNT_MAX: Final = 100_000
SECONDS_MAX: Final = 86_400


def parse_rate(text: str) -> tuple[int, int]:
    """``100/minute`` or ``20 / 5 seconds`` as amount and seconds.

    :raises ValueError: it is neither.
    """
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    amount, seconds = int(match[1]), int(match[2] or 1) * _SECONDS[match[3]]
    if not (1 <= amount <= AMOUNT_MAX and 1 <= seconds <= SECONDS_MAX):
        raise ValueError(text)
    return amount, seconds


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often who may ask for what."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="What it is called.")]
    by: Annotated[
        By,
        Meta(
            description="Who is counted: each address, each known user or machine, each tenant, or everyone together."
        ),
    ] = "address"
    limit: Annotated[str, Meta(max_length=40, description="As 100/minute or 20/5 seconds.")]
    paths: Annotated[
        tuple[Annotated[str, Meta(pattern="^/", max_length=255)], ...],
        Meta(max_length=100, description="Only for these and what lies below them; empty: for all."),
    ] = ()
    methods: Annotated[
        tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], ...],
        Meta(description="Only for these; empty: for all."),
    ] = ()


class LimitsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rates."""

    redis_url: Annotated[
        str,
        Meta(
            pattern=r"^((rediss?|redis\+unix)://.*)?$",
            max_length=2048,
            description="redis://host:port/0: nodes that count together; needs the extra 'redis'. Empty: each counts alone.",
        ),
    ] = ""
    rules: Annotated[
        tuple[Rule, ...] | None,
        Meta(
            description="Unset: addresses have 1200/minute and 30/minute for signing in, unless the server is on loopback."
        ),
    ] = None
    usage_days: Annotated[int, Meta(ge=1, le=3650, description="Days that usage is kept for reports.")] = 90


#: What holds where nothing is set and others than this machine can ask.
DEFAULT_RULES: Final = (
    Rule(name="address", limit="1200/minute"),
    Rule(name="sign-in", limit="30/minute", paths=("/auth",), methods=("POST",)),
)


def _validate(settings: Any, _base: Path) -> Iterator[tuple[str, str]]:
    names = set()
    for number, rule in enumerate(settings.rules or ()):
        try:
            parse_rate(rule.limit)
        except ValueError:
            yield (
                f"rules[{number}].limit",
                f"found {rule.limit!r}, allowed: as 100/minute or 20/5 seconds; at most {AMOUNT_MAX} in at most a day",
            )
        if rule.name in names:
            yield f"rules[{number}].name", f"found {rule.name!r} twice, allowed: once"
        names.add(rule.name)


#: ``[limits]``
SECTION: Final = SectionSpec(type=LimitsSettings, validate=_validate)
