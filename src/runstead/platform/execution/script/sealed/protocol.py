"""Messages between the server and a worker: 4 bytes of length, big-endian, then MessagePack.

The worker is not trusted: what it sends is decoded into these types or the worker is ended.
"""

from __future__ import annotations

import struct

import msgspec

#: Bytes of one message; more ends the worker. The largest response, as base64, with room.
FRAME_BYTES_MAX = 32 * 1024 * 1024

_LENGTH = struct.Struct(">I")
HEADER_BYTES = _LENGTH.size


class Run(msgspec.Struct, tag="run", frozen=True, kw_only=True):
    """Server → worker: do this in a fresh context."""

    id: int
    kind: str
    digest: str
    file: str
    #: None where this worker has had the digest before.
    source: str | None
    function: str
    #: JSON.
    argument: str
    script_seconds: float
    heap_bytes: int
    stack_bytes: int


class HostResult(msgspec.Struct, tag="result", frozen=True, kw_only=True):
    """Server → worker: the answer to a call."""

    ok: bool
    #: JSON of the value, or the message of the error.
    value: str


class HostCall(msgspec.Struct, tag="call", frozen=True, kw_only=True):
    """Worker → server: the script asks for something. The worker waits for the answer."""

    id: int
    name: str
    #: JSON array.
    arguments: str


class Console(msgspec.Struct, tag="console", frozen=True, kw_only=True):
    """Worker → server: a line of the script's console."""

    id: int
    level: str
    text: str


class Done(msgspec.Struct, tag="done", frozen=True, kw_only=True):
    """Worker → server: the invocation has ended."""

    id: int
    ok: bool
    #: JSON of what came back.
    value: str = "null"
    #: ``timeout``, ``memory``, ``syntax`` or ``error``.
    failure: str = ""
    error_name: str = ""
    error_text: str = ""
    error_stack: str = ""
    script_ms: float = 0.0


ToWorker = Run | HostResult
FromWorker = HostCall | Console | Done

encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode


def frame(message: ToWorker | FromWorker) -> bytes:
    """The message with its length in front.

    :raises ValueError: it is larger than FRAME_BYTES_MAX.
    """
    body = encode(message)
    if len(body) > FRAME_BYTES_MAX:
        raise ValueError(f"a message of {len(body)} bytes; {FRAME_BYTES_MAX} are allowed")
    return _LENGTH.pack(len(body)) + body


def length_of(header: bytes) -> int:
    """The length that a header announces.

    :raises ValueError: it is larger than FRAME_BYTES_MAX.
    """
    (length,) = _LENGTH.unpack(header)
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a message of {length} bytes; {FRAME_BYTES_MAX} are allowed")
    return int(length)
