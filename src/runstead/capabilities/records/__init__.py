"""Immutable records of runs, on an object store alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.capabilities.records.assembly import capability
    from runstead.capabilities.records.canonical import NotCanonicalError, canonical_json
    from runstead.capabilities.records.errors import InvalidRecordError, RecordTooLargeError, RunConflictError
    from runstead.capabilities.records.model import Accepted, Scope
    from runstead.capabilities.records.results import ResultRecorder
    from runstead.capabilities.records.service import RecordsService
    from runstead.capabilities.records.settings import (
        SECTION,
        RecordsSettings,
        inherited_environment,
        validate,
    )

__all__ = [
    "SECTION",
    "Accepted",
    "InvalidRecordError",
    "NotCanonicalError",
    "RecordTooLargeError",
    "RecordsService",
    "RecordsSettings",
    "ResultRecorder",
    "RunConflictError",
    "Scope",
    "canonical_json",
    "capability",
    "inherited_environment",
    "validate",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "assembly": ["capability"],
            "canonical": ["NotCanonicalError", "canonical_json"],
            "errors": ["InvalidRecordError", "RecordTooLargeError", "RunConflictError"],
            "model": ["Accepted", "Scope"],
            "results": ["ResultRecorder"],
            "service": ["RecordsService"],
            "settings": ["SECTION", "RecordsSettings", "inherited_environment", "validate"],
        },
    )
