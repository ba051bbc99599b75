"""The ``[apps]`` section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from runstead.kernel.limits import KIB, MIB
from runstead.platform.config import SectionSpec


class AppsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Apps and what each request to one may use."""

    folders: Annotated[
        tuple[Path, ...],
        Meta(
            max_length=100,
            description="Folders of built-in apps: each subfolder with an app.js is one, privileged, named by its folder.",
        ),
    ] = ()
    request_timeout_ms: Annotated[
        int, Meta(ge=10, le=600_000, description="Wall clock of a request, waiting included.")
    ] = 5000
    script_timeout_ms: Annotated[int, Meta(ge=1, le=600_000, description="Time in the script.")] = 1000
    heap_bytes: Annotated[int, Meta(ge=1 * MIB, le=512 * MIB, description="Heap of one context.")] = 16 * MIB
    stack_bytes: Annotated[int, Meta(ge=64 * KIB, le=4 * MIB, description="The engine's stack.")] = 256 * KIB
    script_max_bytes: Annotated[int, Meta(ge=1 * KIB, le=4 * MIB, description="Size of a source.")] = 1 * MIB
    body_max_bytes: Annotated[int, Meta(ge=1 * KIB, le=8 * MIB, description="Size of a request body.")] = (
        1 * MIB
    )
    response_max_bytes: Annotated[
        int, Meta(ge=1 * KIB, le=16 * MIB, description="Size of a response body.")
    ] = 10 * MIB
    strict_responses: Annotated[
        bool, Meta(description="Refuse responses with mistakes instead of mending them with a warning.")
    ] = False


SECTION = SectionSpec(type=AppsSettings)
