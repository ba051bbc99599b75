"""Frames on the worker's side: 4 bytes of length, big-endian, then one MessagePack value."""

from __future__ import annotations

import os

from .messagepack import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADER_BYTES = 4
#: Bytes of one frame, in both directions. The largest response that may be configured, with room for all around it.
FRAME_BYTES_MAX = 24 * 1024 * 1024


class FrameTooLargeError(Exception):
    """What should be sent is larger than FRAME_BYTES_MAX."""


class Channel:
    """Blocking frames over one file descriptor: a socket to the server, our only way out."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def send(self, message: dict[str, Any]) -> None:
        """:raises FrameTooLargeError: nothing was sent.

        :raises ValueError: it holds what cannot be sent; nothing was sent.
        """
        body = pack(message)
        if len(body) > FRAME_BYTES_MAX:
            raise FrameTooLargeError
        data = memoryview(len(body).to_bytes(HEADER_BYTES, "big") + body)
        while data:
            data = data[os.write(self._descriptor, data) :]

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when the server has closed its end."""
        header = self._read(HEADER_BYTES)
        if header is None:
            return None
        body = self._read(int.from_bytes(header, "big"))
        if body is None:
            return None
        message: dict[str, Any] = unpack(body)
        return message

    def _read(self, count: int) -> bytes | None:
        data = os.read(self._descriptor, count)
        if len(data) == count:
            return data
        pieces = [data]
        missing = count - len(data)
        while missing:
            piece = os.read(self._descriptor, missing)
            if not piece:
                return None
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)
