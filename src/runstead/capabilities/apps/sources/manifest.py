"""``app.json``: what an app says of itself."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from runstead.kernel.errors import UnprocessableError
from runstead.kernel.limits import MIB

NAME: Final = "app.json"


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Other limits than those of ``[apps]``; what is beyond the operator's ceiling is cut to it."""

    request_timeout_ms: Annotated[int, Meta(ge=10, le=600_000)] | None = None
    script_timeout_ms: Annotated[int, Meta(ge=1, le=600_000)] | None = None
    heap_bytes: Annotated[int, Meta(ge=1 * MIB, le=512 * MIB)] | None = None


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file."""

    #: ``sync``: ``fetch`` answers at once with a JSON text, as old engines had it.
    fetch: Literal["async", "sync"] = "async"
    limits: Limits = Limits()


def manifest_of(text: str) -> Manifest:
    """Read it.

    :raises UnprocessableError: says what is wrong with it, and where.
    """
    try:
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as error:
        raise UnprocessableError(f"{NAME}: {error}") from error
