"""File, environment and flags become frozen settings; every error names file, line, column and field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runstead.platform.config.loader import load, load_platform
from runstead.platform.config.problems import ConfigError, Problem
from runstead.platform.config.sections import SectionSpec
from runstead.platform.config.settings import (
    PLATFORM_SECTIONS,
    PROFILES,
    Credentials,
    ExecutionSettings,
    ObservabilitySettings,
    ServerSettings,
    Settings,
    StorageSettings,
)

__all__ = [
    "PLATFORM_SECTIONS",
    "PROFILES",
    "ConfigError",
    "Credentials",
    "ExecutionSettings",
    "ObservabilitySettings",
    "Problem",
    "SectionSpec",
    "ServerSettings",
    "Settings",
    "StorageSettings",
    "json_schema",
    "load",
    "load_platform",
    "show",
]


def json_schema(sections: Mapping[str, SectionSpec]) -> dict[str, Any]:
    """The JSON Schema of a configuration file with these sections beside the platform's own."""
    # Here and below: what only a command needs is not imported by the server.
    from runstead.platform.config.schema import json_schema as describe

    return describe(sections)


def show(settings: Settings) -> dict[str, Any]:
    """The effective values with their sources, secrets masked; see :func:`runstead.platform.config.report.show`."""
    from runstead.platform.config.report import show as report

    return report(settings)
