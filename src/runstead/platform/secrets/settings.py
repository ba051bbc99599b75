"""The section ``[secrets]``."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from runstead.platform.config import SectionSpec


class SecretsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How secrets are kept."""

    key_command: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=4096)], ...],
        Meta(
            max_length=64,
            description="Program and arguments that print the master key, as a key management service's client does.",
        ),
    ] = ()
    versions_kept: Annotated[
        int, Meta(ge=1, le=100, description="Values of one secret that are kept, the present one among them.")
    ] = 5
    warn_days: Annotated[
        int, Meta(ge=0, le=3650, description="Days before a secret expires at which the server warns.")
    ] = 14


#: ``[secrets]``
SECTION: Final = SectionSpec(type=SecretsSettings)
