"""The section ``[identity]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from runstead.platform.config import SectionSpec


class IdentitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """People, their sessions and tokens."""

    session_idle_minutes: Annotated[
        int, Meta(ge=1, le=60 * 24 * 90, description="A session that nobody uses ends after so many minutes.")
    ] = 12 * 60
    session_days: Annotated[
        int, Meta(ge=1, le=365, description="A session ends after so many days, used or not.")
    ] = 14
    sessions_per_user_max: Annotated[
        int, Meta(ge=1, le=1000, description="Sessions of one person at once; a further one ends the oldest.")
    ] = 10
    link_hours: Annotated[
        int, Meta(ge=1, le=24 * 30, description="Hours that an invitation or a password reset can be used.")
    ] = 72
    lockout_attempts: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Wrong credentials in a row, of one address or for one account, before a lock.",
        ),
    ] = 10
    lockout_first_seconds: Annotated[
        float, Meta(gt=0, le=3600, description="Length of the first lock; each further failure doubles it.")
    ] = 1.0
    lockout_longest_seconds: Annotated[
        float, Meta(gt=0, le=86_400, description="Length of the longest lock.")
    ] = 900.0
    second_factor: Annotated[
        Literal["optional", "administrators", "everyone"],
        Meta(
            description="Who must have a second factor. Until they have set one up, they can do nothing else. "
            "Whoever signs in through a provider is that provider's business."
        ),
    ] = "optional"
    step_up_minutes: Annotated[
        int,
        Meta(
            ge=1, le=60 * 24 * 30, description="Minutes after a proof for which dangerous acts need no other."
        ),
    ] = 60
    trust_days: Annotated[
        int, Meta(ge=1, le=365, description="Days for which a trusted browser needs no second factor.")
    ] = 30
    breached_passwords: Annotated[
        Path | None,
        Meta(description="File of SHA-1 hashes, sorted, one a line: passwords that are refused."),
    ] = None
    token_days_max: Annotated[
        int, Meta(ge=1, le=3650, description="Days that an API token may be valid at most.")
    ] = 365


#: ``[identity]``
SECTION: Final = SectionSpec(type=IdentitySettings)
