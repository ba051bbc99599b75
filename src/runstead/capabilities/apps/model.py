"""Apps, their versions and what they serve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from runstead.kernel.clock import rfc3339

ID_PATTERN: Final = r"^[a-z0-9][a-z0-9_/-]{0,127}$"
_ID: Final = re.compile(ID_PATTERN)
#: A handler is a global function of the app.
HANDLER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,127}")
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")


def is_app_id(text: str) -> bool:
    """Lower-case letters, digits, dash, underscore, and slashes between parts."""
    return _ID.fullmatch(text) is not None and "//" not in text and not text.endswith("/")


class VersionStatus(StrEnum):
    """What became of a version."""

    #: Stored, its init has not ended yet.
    NEW = "new"
    #: Its init succeeded.
    READY = "ready"
    #: Its init failed; it never served.
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One immutable version of an app."""

    number: int
    source: str
    digest: str
    author: str
    message: str
    created_at: datetime
    status: VersionStatus
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Everything but the source."""
        return {
            "version": self.number,
            "sha256": self.digest,
            "bytes": len(self.source.encode()),
            "author": self.author,
            "message": self.message,
            "created_at": rfc3339(self.created_at),
            "status": self.status.value,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An app and its newest version."""

    id: str
    owner: str
    privileged: bool
    created_at: datetime
    #: The newest version that is ready; None before the first.
    serving: int | None
    newest: int

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "owner": self.owner,
            "privileged": self.privileged,
            "created_at": rfc3339(self.created_at),
            "serving_version": self.serving,
            "newest_version": self.newest,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of an app."""

    method: str
    path: str
    handler: str
    openapi: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return {"method": self.method, "path": self.path, "handler": self.handler}
