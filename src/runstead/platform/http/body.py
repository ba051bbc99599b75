"""Reading a request body without trusting its sender."""

from __future__ import annotations

from runstead.kernel.capability import Receive
from runstead.kernel.errors import TooLargeError


class ClientDisconnectedError(Exception):
    """The client went away before its request was complete. There is nobody left to answer."""


def too_large(limit: int) -> TooLargeError:
    """The refusal, with the limit in bytes."""
    return TooLargeError(details={"bytes_max": limit})


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body.

    :raises TooLargeError: as soon as more than ``limit`` bytes came.
    :raises ClientDisconnectedError: when the client goes away first.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
