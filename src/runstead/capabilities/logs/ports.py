"""What logs need from elsewhere; bootstrap connects it."""

from __future__ import annotations

from typing import Any, Protocol


class Sealer(Protocol):
    """Keeps small secrets so that whoever reads the database does not have them."""

    def seal(self, clear: bytes) -> bytes:
        """Encrypt."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """Decrypt what :meth:`seal` made; anything else raises."""
        ...


class Masker(Protocol):
    """Knows the server's secrets, in whatever form they were encoded on the way."""

    def matches(self, text: str) -> bool:
        """Whether a secret stands in this text."""
        ...

    def scrub_text(self, text: str) -> str:
        """The text with every secret masked."""
        ...

    def scrub(self, value: Any) -> Any:
        """A JSON value with every secret masked."""
        ...
