"""Figures for Prometheus, owned by one server: two servers in one process do not share them."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

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

    def __init__(self, *, version: str = "") -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        build = Gauge(
            "runstead_build_info", "Constant 1; the version is a label.", ["version"], registry=self.registry
        )
        build.labels(version).set(1)
        self._requests = Counter(
            "runstead_http_requests",
            "Requests answered, by method, route template and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "runstead_http_request_duration_seconds",
            "From the request line to the last byte handed to the server, by method and route template.",
            ["method", "route"],
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=self.registry,
        )
        #: Changed on the event loop only, so a plain number does; the gauge reads it when it is asked.
        self.requests_in_flight = 0
        Gauge(
            "runstead_http_requests_in_flight", "Requests being answered now.", registry=self.registry
        ).set_function(lambda: self.requests_in_flight)
        self._received = Counter("runstead_http_received_bytes", "Body bytes read.", registry=self.registry)
        self._sent = Counter(
            "runstead_http_sent_bytes", "Body bytes handed to the server.", registry=self.registry
        )
        # labels() takes a lock and builds a tuple of texts each time; a child is found here with one look-up.
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe_request(
        self, method: str, route: str, status: int, seconds: float, bytes_in: int, bytes_out: int
    ) -> None:
        """Count one answered request. ``status`` 0 means that the client went away before there was one."""
        children = self._children.get((method, route, status)) or self._child(method, route, status)
        children[0].inc()
        children[1].observe(seconds)
        if bytes_in:
            self._received.inc(bytes_in)
        if bytes_out:
            self._sent.inc(bytes_out)

    def _child(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        known = method if method in _METHODS else _OTHER
        if len(self._children) >= ROUTES_MAX:
            route = _OTHER
        children = (self._requests.labels(known, route, str(status)), self._seconds.labels(known, route))
        if len(self._children) < ROUTES_MAX * 2 and known == method:
            self._children[method, route, status] = children
        return children

    def render(self) -> bytes:
        """Everything in Prometheus' text format (:data:`METRICS_CONTENT_TYPE`)."""
        return generate_latest(self.registry)
