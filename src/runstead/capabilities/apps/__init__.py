"""Web apps in JavaScript: versions, routes, each request in a context of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.capabilities.apps.assembly import capability
    from runstead.capabilities.apps.database import remove_all_databases
    from runstead.capabilities.apps.model import App, Route, Version, VersionStatus
    from runstead.capabilities.apps.service import AppsService
    from runstead.capabilities.apps.settings import SECTION, AppsSettings, FetchSettings

__all__ = [
    "MIGRATIONS",
    "SECTION",
    "App",
    "AppsService",
    "AppsSettings",
    "FetchSettings",
    "Route",
    "Version",
    "VersionStatus",
    "capability",
    "remove_all_databases",
]

#: The folder of the Alembic revisions.
MIGRATIONS: Final = Path(__file__).parent / "migrations"

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "assembly": ["capability"],
            "database": ["remove_all_databases"],
            "model": ["App", "Route", "Version", "VersionStatus"],
            "service": ["AppsService"],
            "settings": ["SECTION", "AppsSettings", "FetchSettings"],
        },
    )
