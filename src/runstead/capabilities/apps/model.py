"""Apps, their versions and what they serve."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

from runstead.kernel.clock import rfc3339

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_/-]{0,127}")
#: What stands behind an id in the URLs of the API, so that no later part of an id may be it.
SUBRESOURCES: Final = frozenset(
    {
        "assets", "check", "database", "deliveries", "diff", "eval", "logs", "privileged", "owner", "rollback", "routes",
        "streams", "test", "timers", "versions",
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
    #: The name of the source.
    main: str = "app.js"
    #: Files that belong to it: name → digest.
    files: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    #: What the engine gets, as JSON; None: the source as it is.
    compiled: str | None = None

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
            "main": self.main,
            "files": dict(self.files),
            "tags": list(self.tags),
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
    """A route of an app: a handler, a stream or a file."""

    method: str
    path: str
    #: Of a stream: who says what a client may hear; empty: everybody hears everything.
    handler: str
    kind: Literal["handler", "stream", "asset"] = "handler"
    #: The file, where it is one.
    asset: str = ""
    openapi: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        shown = {"method": self.method, "path": self.path, "kind": self.kind, "handler": self.handler}
        return {**shown, "asset": self.asset} if self.kind == "asset" else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A handler that the clock calls."""

    name: str
    handler: str
    #: The first time; None: now.
    at: datetime | None
    #: Milliseconds from one time to the next; None: once.
    every_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom to tell of an event."""

    event: str
    url: str
    #: The id of the secret that signs; None: not signed.
    secret: str | None
    headers: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return {"event": self.event, "url": self.url, "secret": self.secret}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Everything that ``init`` asked for, checked."""

    routes: tuple[Route, ...] = ()
    timers: tuple[Timer, ...] = ()
    #: Type of a message → handlers.
    listeners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    webhooks: tuple[Webhook, ...] = ()
    #: Accepted and listed; they are not served yet.
    graphql: tuple[Mapping[str, Any], ...] = ()
    mcp: tuple[Mapping[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "routes": [route.as_json() for route in self.routes],
            "timers": [
                {"name": one.name, "handler": one.handler, "every_ms": one.every_ms} for one in self.timers
            ],
            "listeners": {kind: list(handlers) for kind, handlers in self.listeners.items()},
            "webhooks": [one.as_json() for one in self.webhooks],
            "graphql": [dict(one) for one in self.graphql],
            "mcp": [dict(one) for one in self.mcp],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """What an author hands in."""

    source: str
    #: The name of the source; its ending says what it is written in.
    main: str = "app.js"
    #: What comes with it, by name.
    files: Mapping[str, bytes] = field(default_factory=dict)
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """What came of a new version."""

    app: App
    version: Version
    #: What it registered; the routes are served if the app is privileged.
    registered: Registered
