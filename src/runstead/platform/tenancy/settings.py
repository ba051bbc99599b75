"""The section ``[tenants]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from runstead.platform.config import SectionSpec
from runstead.platform.limits.settings import parse_rate


class TenancySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Tenants, and how a request names its own."""

    enabled: Annotated[bool, Meta(description="Serve tenants beside the house itself.")] = False
    domain: Annotated[
        str,
        Meta(
            pattern=r"^([a-z0-9-]+(\.[a-z0-9-]+)*)?$",
            max_length=253,
            description="NAME.DOMAIN is the tenant NAME. Empty: not by the host name.",
        ),
    ] = ""
    header: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9-]{1,64})?$",
            description="The request header that names the tenant. Empty: none does.",
        ),
    ] = "X-Tenant"
    folder: Annotated[
        Path | None,
        Meta(description="Where tenants are kept. Default: storage.data_dir with -tenants behind its name."),
    ] = None
    tiers: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")], Annotated[str, Meta(max_length=40)]
        ],
        Meta(
            max_length=50,
            description='Plan → requests, as free = "1000/hour". A tenant without a plan has no limit.',
        ),
    ] = {}
    tenants_max: Annotated[int, Meta(ge=1, le=10_000, description="Tenants of this server.")] = 100


def _validate(settings: Any, _base: Path) -> Iterator[tuple[str, str]]:
    for name, rate in settings.tiers.items():
        try:
            parse_rate(rate)
        except ValueError:
            yield f"tiers.{name}", f"found {rate!r}, allowed: as 1000/hour"
    if settings.enabled and not settings.domain and not settings.header:
        yield "enabled", "found true, allowed: with a domain or a header by which requests name their tenant"


#: ``[tenants]``
SECTION: Final = SectionSpec(type=TenancySettings, validate=_validate)
