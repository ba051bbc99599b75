"""Counters for a monitoring system."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge


class Outcome(StrEnum):
    """What became of a batch."""

    STORED = "stored"
    #: Known by its idempotency key.
    REPEATED = "repeated"
    #: The key or the signature was wrong.
    REFUSED = "refused"
    #: It held events that cannot be stored, or was none.
    INVALID = "invalid"
    #: The project had enough for now.
    LIMITED = "limited"
    FAILED = "failed"


class Figures:
    """Counters of one server."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry or CollectorRegistry()
        self._batches = Counter(
            "runstead_logs_batches",
            "Batches received, by what became of them.",
            ["outcome"],
            registry=self._registry,
        )
        self._events = Counter("runstead_logs_events", "Events stored from batches.", registry=self._registry)
        self._own = Counter(
            "runstead_logs_own_events", "Events of the server's own sources stored.", registry=self._registry
        )
        self._dropped = Counter(
            "runstead_logs_own_dropped",
            "Events of the server's own sources dropped.",
            registry=self._registry,
        )
        self._deleted = Counter(
            "runstead_logs_deleted_events",
            "Events deleted by age or with their project.",
            registry=self._registry,
        )

    def watch(self, *, queued: Callable[[], float], unindexed: Callable[[], float]) -> None:
        """Have these asked when somebody looks."""
        for name, text, value in (
            (
                "runstead_logs_own_queued",
                "Events of the server's own sources that wait to be stored.",
                queued,
            ),
            ("runstead_logs_unindexed", "Events that are stored and not searchable yet.", unindexed),
        ):
            Gauge(name, text, registry=self._registry).set_function(value)

    def batch(self, outcome: Outcome, events: int = 0) -> None:
        self._batches.labels(outcome.value).inc()
        if events:
            self._events.inc(events)

    def own_stored(self, events: int) -> None:
        self._own.inc(events)

    def own_dropped(self, events: int) -> None:
        self._dropped.inc(events)

    def deleted(self, events: int) -> None:
        self._deleted.inc(events)
