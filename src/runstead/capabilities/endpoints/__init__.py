"""A declared HTTP route runs a program: JSON on its stdin, its stdout the answer, and a folder of every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.capabilities.endpoints.assembly import capability
    from runstead.capabilities.endpoints.importing import CarriedHook, read_hooks
    from runstead.capabilities.endpoints.recording import TOPIC
    from runstead.capabilities.endpoints.service import EndpointsService
    from runstead.capabilities.endpoints.settings import (
        RUNS_SECTION,
        SECTION,
        EndpointSettings,
        RunsSettings,
        validate_endpoints,
    )

__all__ = [
    "RUNS_SECTION",
    "SECTION",
    "TOPIC",
    "CarriedHook",
    "EndpointSettings",
    "EndpointsService",
    "RunsSettings",
    "capability",
    "read_hooks",
    "validate_endpoints",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "assembly": ["capability"],
            "importing": ["CarriedHook", "read_hooks"],
            "recording": ["TOPIC"],
            "service": ["EndpointsService"],
            "settings": ["RUNS_SECTION", "SECTION", "EndpointSettings", "RunsSettings", "validate_endpoints"],
        },
    )
