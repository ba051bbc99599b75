from __future__ import annotations

import builtins
import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import structlog
from litestar import get
from litestar.params import FromPath
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runstead.platform.config.settings import ObservabilitySettings, ServerSettings
from runstead.platform.http import build_app
from runstead.platform.identity import Identity
from runstead.platform.observability import (
    Health,
    Metrics,
    Redactor,
    Tracing,
    TracingUnavailableError,
    configure_logging,
)
from runstead.platform.observability.tracing import EXPORT_SECONDS_MAX


class Collector:
    """What an OTLP collector does with traces: take them."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.paths: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.add(self.path)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Quietly."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


@get("/jobs/{name:str}")
async def job(name: FromPath[str]) -> dict[str, str]:
    if name == "broken":
        raise ValueError("the cause")
    return {"name": name}


def attributes(span: Any) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@pytest.mark.req("DEPLOY-008")
async def test_a_request_is_a_span_below_its_callers(collector: Collector) -> None:
    log = io.StringIO()
    redactor = Redactor("hunter22")
    configure_logging(ObservabilitySettings(log_format="json"), redactor, stream=log)
    try:
        async with Tracing(collector.url, redactor) as tracing:
            app = build_app(
                capabilities=[],
                settings=ServerSettings(),
                identity=Identity(),
                health=Health(),
                metrics=Metrics(),
                routes=[job],
                tracing=tracing,
            )
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://localhost"
            ) as client:
                parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                await client.get("/jobs/a", headers={"traceparent": parent, "X-Request-ID": "r1"})
                await client.get("/jobs/broken", headers={"traceparent": "nonsense"})
                await client.get("/nothing/hunter22")
    finally:
        structlog.reset_defaults()
    assert collector.paths == {"/v1/traces"}
    first, second, third = collector.spans
    assert first.name == "GET /jobs/{name}"
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == tuple(parent.split("-")[1:3])
    assert attributes(first)["http.response.status_code"] == 200
    assert attributes(first)["runstead.request_id"] == "r1"
    assert (second.name, attributes(second)["error.type"], second.status.code) == (
        "GET /jobs/{name}",
        "500",
        2,
    )
    assert second.parent_span_id == b""
    assert (third.name, attributes(third)["url.path"]) == ("GET unmatched", "/nothing/***")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert next(line for line in lines if line["request_id"] == "r1")["trace_id"] == parent.split("-")[1]


async def test_a_collector_that_is_not_there_harms_nobody() -> None:
    async with Tracing("http://127.0.0.1:9/v1/traces", Redactor()) as tracing:
        app = build_app(
            capabilities=[],
            settings=ServerSettings(access_log=False),
            identity=Identity(),
            health=Health(),
            metrics=Metrics(),
            tracing=tracing,
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            assert (await client.get("/healthz")).status_code == 200
        began = time.monotonic()
    assert time.monotonic() - began < 2 * EXPORT_SECONDS_MAX


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importing(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TracingUnavailableError, match=r'pip install "runstead\[otel\]"'):
        Tracing("http://localhost:4318", Redactor())
