"""Logs, metrics, traces and health of the server itself."""

from runstead.platform.observability.context import log_context
from runstead.platform.observability.health import CheckResult, Health, HealthReport, Phase, Status
from runstead.platform.observability.logs import LEVELS, LogOutput, configure_logging
from runstead.platform.observability.metrics import METRICS_CONTENT_TYPE, Metrics
from runstead.platform.observability.redaction import Redactor
from runstead.platform.observability.tracing import Tracing, TracingUnavailableError

__all__ = [
    "LEVELS",
    "METRICS_CONTENT_TYPE",
    "CheckResult",
    "Health",
    "HealthReport",
    "LogOutput",
    "Metrics",
    "Phase",
    "Redactor",
    "Status",
    "Tracing",
    "TracingUnavailableError",
    "configure_logging",
    "log_context",
]
