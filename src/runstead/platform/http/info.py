"""What the server says about itself."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime

from runstead import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """Shown on the health page and in the API description."""

    name: str = "Runstead"
    version: str = __version__
    profile: str = ""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Versions of what it runs on, by name.
    versions: dict[str, str] = field(default_factory=lambda: {"python": platform.python_version()})
