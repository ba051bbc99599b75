"""What monitoring sees of records."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram

#: From a fast local disk to an object store on the other side of the world.
_BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Outcome(StrEnum):
    """What became of a document."""

    ACCEPTED = "accepted"
    #: The same record was there.
    DUPLICATE = "duplicate"
    #: Another record of the run was there.
    CONFLICT = "conflict"
    #: It broke a rule.
    INVALID = "invalid"


class Figures:
    """Counters of one server."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self._documents = Counter(
            "runstead_records_documents",
            "Documents received, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self._bytes = Counter(
            "runstead_records_accepted_bytes", "Bytes of accepted bodies.", registry=registry
        )
        self._seconds = Histogram(
            "runstead_records_store_duration_seconds",
            "From a valid document to a durable, findable record.",
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        self._counts = dict.fromkeys(Outcome, 0)

    def count(self, outcome: Outcome, size: int = 0) -> None:
        self._counts[outcome] += 1
        self._documents.labels(outcome.value).inc()
        if outcome is Outcome.ACCEPTED and size:
            self._bytes.inc(size)

    def outcomes(self) -> dict[str, int]:
        """How often each outcome was seen."""
        return {outcome.value: self._counts[outcome] for outcome in Outcome}

    def timed(self) -> AbstractContextManager[Any]:
        return self._seconds.time()
