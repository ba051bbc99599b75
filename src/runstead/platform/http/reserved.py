"""Paths that belong to the server, so that neither endpoints nor apps may register them."""

from __future__ import annotations

from typing import Final

RESERVED_PREFIXES: Final = (
    "/api",
    "/v1",
    "/admin",
    "/health",
    "/healthz",
    "/ready",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/config",
    "/auth",
    "/editor",
    "/console",
)


def is_reserved(path: str) -> bool:
    """Whether this path is one of the server's or lies below one. Case and doubled slashes do not help to get around it."""
    normal = "/" + "/".join(part for part in path.lower().split("/") if part)
    return any(normal == prefix or normal.startswith(prefix + "/") for prefix in RESERVED_PREFIXES)
