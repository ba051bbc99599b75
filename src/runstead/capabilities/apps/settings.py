"""The ``[apps]`` section."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from runstead.capabilities.apps.database.limits import DatabaseSettings
from runstead.kernel.limits import KIB, MIB
from runstead.platform.config import SectionSpec
from runstead.platform.egress.addresses import networks_of


class FetchSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What scripts may fetch."""

    allow_addresses: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...],
        Meta(
            max_length=100,
            description="Addresses and networks, as 10.1.0.0/16, that may be asked although they are not public.",
        ),
    ] = ()
    timeout_ms: Annotated[
        int, Meta(ge=1, le=60_000, description="Time of one fetch, redirects and retries included.")
    ] = 10_000
    response_max_bytes: Annotated[int, Meta(ge=1 * KIB, le=10 * MIB, description="Size of an answer.")] = (
        5 * MIB
    )


class CeilingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an app may have when its ``app.json`` asks for more than the others have."""

    request_timeout_ms: Annotated[int, Meta(ge=10, le=600_000, description="Wall clock of a request.")] = (
        60_000
    )
    script_timeout_ms: Annotated[int, Meta(ge=1, le=600_000, description="Time in the script.")] = 10_000
    heap_bytes: Annotated[int, Meta(ge=1 * MIB, le=512 * MIB, description="Heap of one context.")] = 128 * MIB


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
    upload_max_bytes: Annotated[
        int, Meta(ge=1 * KIB, le=10 * 1024 * MIB, description="Size of a form with files.")
    ] = 64 * MIB
    response_max_bytes: Annotated[
        int, Meta(ge=1 * KIB, le=16 * MIB, description="Size of a response body.")
    ] = 10 * MIB
    storage_bytes: Annotated[
        int,
        Meta(
            ge=1 * KIB,
            le=1024 * MIB,
            description="What sharedStorage and personalStorage of one app may hold.",
        ),
    ] = 50 * MIB
    stream_connections_max: Annotated[
        int, Meta(ge=1, le=100_000, description="Clients that may listen to streams of apps at once.")
    ] = 5000
    fetch: FetchSettings = FetchSettings()
    ceiling: CeilingSettings = CeilingSettings()
    database: DatabaseSettings = DatabaseSettings()
    asset_bytes: Annotated[
        int, Meta(ge=1 * MIB, le=100 * 1024 * MIB, description="Files of one app, all versions together.")
    ] = 256 * MIB
    webhook_back_off_seconds: Annotated[
        tuple[Annotated[float, Meta(ge=0.01, le=86_400)], ...],
        Meta(
            max_length=20,
            description="Pauses before a webhook is tried again; after the last one it has failed.",
        ),
    ] = (10.0, 60.0, 300.0, 1800.0, 7200.0)
    strict_responses: Annotated[
        bool, Meta(description="Refuse responses with mistakes instead of mending them with a warning.")
    ] = False


def _validate(settings: Any, _base: Path) -> Iterator[tuple[str, str]]:
    for number, name in enumerate(settings.fetch.allow_addresses):
        try:
            networks_of([name])
        except ValueError:
            yield (
                f"fetch.allow_addresses[{number}]",
                f"found {name!r}, allowed: an address or a network, as 10.1.0.0/16",
            )


SECTION = SectionSpec(type=AppsSettings, validate=_validate)
