"""What an app may do with its database."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from runstead.kernel.limits import MIB


class DatabaseSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[apps.database]``."""

    bytes_max: Annotated[int, Meta(ge=1 * MIB, le=1024 * 1024 * MIB, description="Size of one app's.")] = (
        256 * MIB
    )
    rows_max: Annotated[int, Meta(ge=1, le=1_000_000, description="Rows that one statement may return.")] = (
        10_000
    )
    statement_ms: Annotated[int, Meta(ge=10, le=600_000, description="Time of one statement.")] = 2000
    wait_ms: Annotated[
        int, Meta(ge=10, le=600_000, description="How long a change waits for the changes of others.")
    ] = 4000
