"""Log events from anywhere: signed batches in, full text search out, forgotten after a few days."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.capabilities.logs.assembly import capability
    from runstead.capabilities.logs.intake import Intake
    from runstead.capabilities.logs.ports import Sealer
    from runstead.capabilities.logs.service import LogsService
    from runstead.capabilities.logs.settings import SECTION, LogsSettings

__all__ = [
    "MIGRATIONS",
    "SECTION",
    "Intake",
    "LogsService",
    "LogsSettings",
    "Sealer",
    "capability",
]

#: The folder of the revisions: the branch "logs".
MIGRATIONS: Final = Path(__file__).parent / "migrations"

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "assembly": ["capability"],
            "intake": ["Intake"],
            "ports": ["Sealer"],
            "service": ["LogsService"],
            "settings": ["SECTION", "LogsSettings"],
        },
    )
