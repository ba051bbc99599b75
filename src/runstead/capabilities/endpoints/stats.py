"""What each endpoint did since the server started."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import prometheus_client

from runstead.capabilities.endpoints.model import RunReport

#: Durations kept for the percentiles.
SAMPLES_MAX = 512
_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


def percentile(samples: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile of sorted samples; None without any."""
    if not samples:
        return None
    return samples[min(len(samples) - 1, int(share * len(samples)))]


@dataclass(slots=True)
class EndpointStats:
    """Counters of one endpoint, for people; the ones of :class:`Figures` are for machines."""

    calls: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    last_run: dict[str, Any] | None = None
    durations_ms: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))

    def typical_seconds(self) -> float:
        """The median duration of recent runs; one second before there are any."""
        median = percentile(sorted(self.durations_ms), 0.5)
        return 1.0 if median is None else median / 1000

    def as_json(self) -> dict[str, Any]:
        samples = sorted(self.durations_ms)
        return {
            "calls": self.calls,
            "failures": dict(self.failures),
            "last_run": self.last_run,
            "p50_ms": percentile(samples, 0.5),
            "p99_ms": percentile(samples, 0.99),
        }


class Figures:
    """The counters of all endpoints. Names come from the configuration, so their number is bounded."""

    def __init__(self, registry: prometheus_client.CollectorRegistry | None = None) -> None:
        self._by_name: dict[str, EndpointStats] = {}
        registry = registry or prometheus_client.CollectorRegistry()
        self._answers = prometheus_client.Counter(
            "runstead_endpoint_calls",
            "Calls of endpoints that were answered, by the code of the answer.",
            ["endpoint", "code"],
            registry=registry,
        )
        self._seconds = prometheus_client.Histogram(
            "runstead_endpoint_run_duration_seconds",
            "From the start of the program to its written folder.",
            ["endpoint"],
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )

    def of(self, name: str) -> EndpointStats:
        return self._by_name.setdefault(name, EndpointStats())

    def answered(self, name: str, code: str | None) -> None:
        """Count a call; ``code`` is None after a success."""
        stats = self.of(name)
        stats.calls += 1
        if code is not None:
            stats.failures[code] += 1
        self._answers.labels(name, code or "OK").inc()

    def ran(self, report: RunReport) -> None:
        """Count a run that has ended."""
        stats = self.of(report.endpoint)
        stats.durations_ms.append(round(report.duration_ms, 3))
        stats.last_run = report.as_json()
        self._seconds.labels(report.endpoint).observe(report.duration_ms / 1000)
