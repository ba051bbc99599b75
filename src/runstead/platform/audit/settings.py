"""The section ``[audit]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from runstead.platform.config import SectionSpec

Hour = Annotated[int, Meta(ge=0, le=24)]


class DetectionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When the trail raises an alert."""

    window_seconds: Annotated[
        int, Meta(ge=1, le=86_400, description="Time in which acts are counted together.")
    ] = 300
    failed_logins: Annotated[
        int, Meta(ge=1, le=10_000, description="Failed sign-ins of one address or account.")
    ] = 10
    acts: Annotated[int, Meta(ge=1, le=1_000_000, description="Acts of one person.")] = 600
    failed_secrets: Annotated[
        int, Meta(ge=1, le=10_000, description="Refused or unknown secrets of one actor.")
    ] = 10
    office_hours: Annotated[
        tuple[Hour, Hour],
        Meta(
            description="First and last hour in which rights are given without an alert; twice the same: always."
        ),
    ] = (0, 0)
    time_zone: Annotated[
        str, Meta(min_length=1, max_length=64, description="IANA name for office_hours.")
    ] = "UTC"


class AuditSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The trail of what was done."""

    retention_days: Annotated[int, Meta(ge=1, le=36_500, description="Days that entries are kept.")] = 365
    detection: DetectionSettings = DetectionSettings()


def _validate(settings: Any, _base: Path) -> Iterator[tuple[str, str]]:
    name = settings.detection.time_zone
    try:
        ZoneInfo(name)
    except (ValueError, OSError):
        yield "detection.time_zone", f"found {name!r}, allowed: a name such as 'Europe/Berlin'"


#: ``[audit]``
SECTION: Final = SectionSpec(type=AuditSettings, validate=_validate)
