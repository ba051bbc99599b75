"""What the engines have in common."""

from __future__ import annotations


class EngineError(Exception):
    """What the script threw, or the limit that it passed."""

    def __init__(self, failure: str, name: str, text: str, frames: str = "") -> None:
        super().__init__(f"{name}: {text}")
        #: ``syntax``, ``timeout``, ``memory`` or ``error``.
        self.failure = failure
        self.name = name
        self.text = text
        #: Lines of ``at function (line:column)`` in the script.
        self.frames = frames


#: What a turn comes to that ends with the script waiting for the server.
PENDING = object()
