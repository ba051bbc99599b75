"""The trail: who did what, when, from where. Hash-chained, append-only, written with the act itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.platform.audit.actions import ACTIONS
    from runstead.platform.audit.detection import Alert
    from runstead.platform.audit.settings import SECTION, AuditSettings
    from runstead.platform.audit.store import Filter
    from runstead.platform.audit.tables import MIGRATIONS
    from runstead.platform.audit.trail import Audit
    from runstead.platform.audit.verification import Verdict

__all__ = [
    "ACTIONS",
    "MIGRATIONS",
    "SECTION",
    "Alert",
    "Audit",
    "AuditSettings",
    "Filter",
    "Verdict",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "actions": ["ACTIONS"],
            "detection": ["Alert"],
            "settings": ["SECTION", "AuditSettings"],
            "store": ["Filter"],
            "tables": ["MIGRATIONS"],
            "trail": ["Audit"],
            "verification": ["Verdict"],
        },
    )
