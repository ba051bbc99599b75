"""The trail: who did what, when, from where. Hash-chained, append-only, written with the act itself."""

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
