"""Taking over hooks that adnanh/webhook serves."""

from __future__ import annotations

from runstead.capabilities.endpoints.importing.hooks import CarriedHook, read_hooks

__all__ = ["CarriedHook", "read_hooks"]
