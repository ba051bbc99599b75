"""Apps, their versions and what they serve."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from runstead.kernel.clock import rfc3339

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_/-]{0,127}")
#: What stands behind an id in the URLs of the API, so that no later part of an id may be it.
SUBRESOURCES: Final = frozenset(
    {
        "assets", "check", "diff", "eval", "logs", "privileged", "owner", "rollback", "routes", "test", "versions",
    }
)  # fmt: skip
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")


def is_app_id(text: str) -> bool:
    """Lower-case letters, digits, dash and underscore in parts with slashes between them."""
    if _ID.fullmatch(text) is None:
        return False
    first, *others = text.split("/")
    return bool(first) and all(others) and not SUBRESOURCES.intersection(others)


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
    #: Empty where only the facts were read.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """What came of a new version."""

    app: App
    version: Version
    #: What it registered; served if the app is privileged.
    routes: Sequence[Route]
