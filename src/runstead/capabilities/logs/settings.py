"""The section ``[logs]``."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from runstead.capabilities.logs.model import MINUTE_CAP_MAX, RETENTION_DAYS_MAX
from runstead.platform.config import SectionSpec

Share = Annotated[
    float, Meta(ge=0, le=1, description="Share of events that clients are asked to send, from 0 to 1.")
]


class LogsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Taking log events."""

    minute_cap: Annotated[
        int,
        Meta(ge=1, le=MINUTE_CAP_MAX, description="Events a minute of a project that has no cap of its own."),
    ] = 5000
    retention_days: Annotated[
        int,
        Meta(
            ge=1,
            le=RETENTION_DAYS_MAX,
            description="Days that events of a project without a setting are kept.",
        ),
    ] = 3
    ip_requests_per_minute: Annotated[
        int,
        Meta(ge=1, le=MINUTE_CAP_MAX, description="Signed requests a minute from one address."),
    ] = 600
    sample_debug: Share = 1.0
    sample_info: Share = 1.0
    sample_warn: Share = 1.0
    sample_error: Share = 1.0
    sample_fatal: Share = 1.0


#: ``[logs]``
SECTION: Final = SectionSpec(type=LogsSettings)
