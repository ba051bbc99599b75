"""What logs need from elsewhere; bootstrap connects it."""

from __future__ import annotations

from typing import Protocol


class Sealer(Protocol):
    """Keeps small secrets so that whoever reads the database does not have them."""

    def seal(self, clear: bytes) -> bytes:
        """Encrypt."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """Decrypt what :meth:`seal` made; anything else raises."""
        ...
