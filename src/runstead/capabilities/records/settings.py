"""The section ``[records]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from runstead.capabilities.records.keys import PREFIX_CHARS_MAX, PREFIX_PATTERN
from runstead.capabilities.records.model import NAME_PATTERN
from runstead.kernel.secret import Secret
from runstead.platform.config import SectionSpec

#: A "$" would also match before a line break.
_END: Final = r"(?!\n)$"

Name = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}{_END}")]


class RecordsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Immutable records of runs."""

    prefix: Annotated[
        str,
        Meta(
            pattern=f"^{PREFIX_PATTERN}{_END}",
            max_length=PREFIX_CHARS_MAX,
            description="What every key in the object store begins with.",
        ),
    ] = "stricture"
    auth_mode: Annotated[
        Literal["none", "token", "jwt"],
        Meta(
            description="none: everyone on this machine, on loopback only; token: whoever sends ingest_token."
        ),
    ] = "none"
    ingest_token: Annotated[
        Secret | None, Meta(description="The bearer token of auth_mode token, for writing and reading.")
    ] = None
    organization: Annotated[
        Name, Meta(description="Under which the results of this server's own runs are recorded.")
    ] = "local"
    project: Annotated[
        Name, Meta(description="Under which the results of this server's own runs are recorded.")
    ] = "runstead"


def validate(settings: RecordsSettings, _base_dir: Path) -> Iterator[tuple[str, str]]:
    """What is wrong with the section: pairs of a field and a message."""
    if settings.auth_mode == "jwt":
        yield "auth_mode", "found 'jwt', which this version cannot check yet, allowed: none, token"
    if settings.auth_mode == "token" and not settings.ingest_token:
        yield "auth_mode", "found 'token' without a token, allowed: with RUNSTEAD_RECORDS_INGEST_TOKEN set"


SECTION: Final = SectionSpec(
    type=RecordsSettings,
    validate=validate,
    # The names of the server whose place this takes.
    aliases={
        "STRICTURE_SERVER_OBJECT_PREFIX": "prefix",
        "STRICTURE_SERVER_AUTH_MODE": "auth_mode",
        "STRICTURE_SERVER_INGEST_TOKEN": "ingest_token",
    },
)


def inherited_environment(env: Mapping[str, str]) -> dict[str, str]:
    """What the other variables of that server say, in the names of ours: where it listens and where its data goes.

    They are about the platform's sections, so that :data:`SECTION` cannot name them. Our own names should win over these.
    """
    found: dict[str, str] = {}
    host, colon, port = env.get("STRICTURE_SERVER_ADDR", "").rpartition(":")
    if colon:
        # As in Go: no host means every address.
        found |= {"RUNSTEAD_HOST": host.strip("[]") or "0.0.0.0", "RUNSTEAD_PORT": port}  # noqa: S104
    driver = env.get("STRICTURE_SERVER_STORAGE_DRIVER", "") or "fs"
    folder, bucket = env.get("STRICTURE_SERVER_DATA_DIR", ""), env.get("STRICTURE_SERVER_OBJECT_BUCKET", "")
    if driver != "fs":
        found["RUNSTEAD_OBJECTS_URL"] = f"{driver}://{bucket}"
    elif folder:
        found["RUNSTEAD_OBJECTS_URL"] = folder
    return found
