"""What people need from elsewhere."""

from __future__ import annotations

from typing import Protocol


class Sealer(Protocol):
    """Encrypts small values under a key that never leaves the server."""

    def seal(self, clear: bytes) -> bytes: ...
    def open(self, sealed: bytes) -> bytes: ...
    def derive(self, purpose: bytes) -> bytes: ...
