"""Traces, sent by OTLP over HTTP when an endpoint is set; nothing of it is imported otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from runstead import __version__
from runstead.platform.observability.redaction import Redactor

#: Seconds for one batch, retries included. A stop waits for the last batch, so this is also how long a collector that does not
#: answer holds it up.
EXPORT_SECONDS_MAX: Final = 3


class TracingUnavailableError(Exception):
    """observability.otlp_endpoint is set, but the package is not installed: pip install "runstead[otel]"."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class RequestSpan:
    """The span of one request, to be told how it went."""

    def __init__(self, span: Any) -> None:
        self._span = span
        context = span.get_span_context()
        #: 32 hexadecimal digits, for the log.
        self.trace_id = f"{context.trace_id:032x}"

    def ended(self, method: str, route: str, status: int) -> None:
        """Name the span by its route and note the outcome."""
        from opentelemetry.trace import StatusCode

        # "GET /jobs/{id}": the form of the semantic conventions for HTTP; a name must not vary with the path.
        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)


class Tracing:
    """Owns its tracer provider; the global one of the library is left alone.

    Spans are kept in a bounded queue and sent by a thread of the library; when the collector does not answer they are dropped
    and the library says so in the log. Leaving the context sends what is left.
    """

    def __init__(self, endpoint: str, redactor: Redactor, *, service: str = "runstead") -> None:
        """Prepare to send.

        :param endpoint: the collector's base address; ``/v1/traces`` is added unless it is there.
        :raises TracingUnavailableError: when the extra is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ModuleNotFoundError as error:
            raise TracingUnavailableError from error
        address = endpoint.rstrip("/")
        if not address.endswith("/v1/traces"):
            address += "/v1/traces"
        resource = Resource.create({"service.name": service, "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=address, timeout=EXPORT_SECONDS_MAX)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("runstead", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._redactor = redactor

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Waits for the collector, so not on the event loop.
        await asyncio.to_thread(self._provider.shutdown)

    @contextmanager
    def request(
        self, method: str, path: str, headers: Mapping[str, str], request_id: str
    ) -> Iterator[RequestSpan]:
        """The server span of a request, below the caller's span when ``headers`` hold a ``traceparent``."""
        from opentelemetry.trace import SpanKind

        attributes = {
            "http.request.method": method,
            "url.path": self._redactor.scrub_text(path),
            "runstead.request_id": self._redactor.scrub_text(request_id),
        }
        with self._tracer.start_as_current_span(
            method, context=self._propagator.extract(headers), kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            yield RequestSpan(span)
