"""File, environment and flags become frozen settings; every error names file, line, column and field."""

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
    "load",
    "load_platform",
]
