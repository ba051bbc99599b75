from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runstead.platform.observability import Metrics
from runstead.platform.observability.metrics import ROUTES_MAX


def samples(metrics: Metrics) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


@pytest.mark.req("LOG-005")
def test_requests_are_counted_by_method_route_and_status() -> None:
    metrics = Metrics()
    metrics.request_began()
    metrics.request_began()
    metrics.request_ended("GET", "/hello/{name}", 200, 0.003, 10, 20)
    found = samples(metrics)
    labels = [("method", "GET"), ("route", "/hello/{name}")]
    assert found[f"runstead_http_requests_total{[*labels, ('status', '200')]}"] == 1
    assert found[f"runstead_http_request_duration_seconds_count{labels}"] == 1
    assert found[f"runstead_http_request_duration_seconds_sum{labels}"] == pytest.approx(0.003)
    assert found[f"runstead_http_request_duration_seconds_bucket{[('le', '0.0025'), *labels]}"] == 0
    assert found[f"runstead_http_request_duration_seconds_bucket{[('le', '0.005'), *labels]}"] == 1
    assert found[f"runstead_http_request_duration_seconds_bucket{[('le', '+Inf'), *labels]}"] == 1
    assert found["runstead_http_requests_in_flight[]"] == 1
    assert found["runstead_http_received_bytes_total[]"] == 10
    assert found["runstead_http_sent_bytes_total[]"] == 20


def test_labels_are_bounded_whatever_is_asked_for() -> None:
    metrics = Metrics()
    for number in range(ROUTES_MAX + 500):
        metrics.request_ended("GET", f"/route{number}", 200, 0.1, 0, 0)
        metrics.request_ended(f"M{number}", "/one", 405, 0.1, 0, 0)
    found = samples(metrics)
    series = [name for name in found if name.startswith("runstead_http_requests_total")]
    assert len(series) <= ROUTES_MAX + 2
    assert (
        found["runstead_http_requests_total[('method', 'OTHER'), ('route', '/one'), ('status', '405')]"] > 1
    )
    assert sum(found[name] for name in series) == 2 * (ROUTES_MAX + 500)


@pytest.mark.req("LOG-005")
def test_the_process_is_described() -> None:
    names = {name.partition("[")[0] for name in samples(Metrics(version="1.2.3"))}
    assert {
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "runstead_build_info",
    } <= names


def test_two_servers_in_one_process_do_not_share_figures() -> None:
    one, other = Metrics(), Metrics()
    one.request_ended("GET", "/", 200, 0.1, 0, 0)
    assert "runstead_http_requests_total" in one.render().decode()
    assert 'route="/"' not in other.render().decode()
