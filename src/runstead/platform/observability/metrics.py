"""Figures for Prometheus, owned by one server: two servers in one process do not share them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from runstead import __version__

#: From the median of a hello to the default wall clock of an endpoint.
LATENCY_BUCKETS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: Series of one kind. Routes are few; this holds when something registers routes without end.
ROUTES_MAX: Final = 2000

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "OTHER"

METRICS_CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


class Metrics:
    """The registry of this server and the figures of its HTTP side.

    Others add their own with ``Counter(..., registry=metrics.registry)``. Labels take values from closed sets only:
    the route is the template that was registered, never the path that was asked for.
    """

    def __init__(self, *, version: str = __version__) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Gauge(
            "runstead_build_info", "Constant 1; the version is a label.", ["version"], registry=self.registry
        )
        build.labels(version).set(1)
        self._http = _HttpFigures()
        self.registry.register(self._http)

    def request_began(self) -> None:
        """Count a request that is being answered."""
        self._http.in_flight += 1

    def request_ended(
        self, method: str, route: str, status: int, seconds: float, bytes_in: int, bytes_out: int
    ) -> None:
        """Count an answered request. ``status`` 0 means that the client went away before there was one."""
        self._http.count(method, route, status, seconds, bytes_in, bytes_out)

    def render(self) -> bytes:
        """Everything in Prometheus' text format (:data:`METRICS_CONTENT_TYPE`)."""
        return generate_latest(self.registry)


class _HttpFigures(Collector):
    """Plain numbers that become metrics when somebody asks.

    They change on the event loop only. The library's own counters take a lock for each change, which on every request is a
    third of what the whole stack costs.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self._bytes_in = 0
        self._bytes_out = 0
        #: (method, route) → (requests by status, requests by bucket, sum of seconds).
        self._series: dict[tuple[str, str], tuple[dict[int, int], list[int], list[float]]] = {}

    def count(
        self, method: str, route: str, status: int, seconds: float, bytes_in: int, bytes_out: int
    ) -> None:
        self.in_flight -= 1
        self._bytes_in += bytes_in
        self._bytes_out += bytes_out
        series = self._series.get((method, route)) or self._new_series(method, route)
        statuses, buckets, total = series
        statuses[status] = statuses.get(status, 0) + 1
        buckets[bisect_left(LATENCY_BUCKETS_SECONDS, seconds)] += 1
        total[0] += seconds

    def _new_series(self, method: str, route: str) -> tuple[dict[int, int], list[int], list[float]]:
        key = (method if method in _METHODS else _OTHER, route if len(self._series) < ROUTES_MAX else _OTHER)
        return self._series.setdefault(key, ({}, [0] * (len(LATENCY_BUCKETS_SECONDS) + 1), [0.0]))

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "runstead_http_requests",
            "Requests answered, by method, route template and status.",
            labels=["method", "route", "status"],
        )
        latency = HistogramMetricFamily(
            "runstead_http_request_duration_seconds",
            "From the request's head to the last byte handed to the server, by method and route template.",
            labels=["method", "route"],
        )
        for (method, route), (statuses, buckets, total) in self._series.items():
            for status, number in statuses.items():
                requests.add_metric([method, route, str(status)], number)
            bounds = [*map(floatToGoString, LATENCY_BUCKETS_SECONDS), "+Inf"]
            cumulative = list(zip(bounds, accumulate(buckets), strict=True))
            latency.add_metric([method, route], cumulative, sum_value=total[0])
        yield requests
        yield latency
        yield GaugeMetricFamily(
            "runstead_http_requests_in_flight", "Requests being answered now.", self.in_flight
        )
        yield CounterMetricFamily("runstead_http_received_bytes", "Body bytes read.", self._bytes_in)
        yield CounterMetricFamily(
            "runstead_http_sent_bytes", "Body bytes handed to the server.", self._bytes_out
        )
