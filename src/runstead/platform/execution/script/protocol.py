"""Messages between the server and a worker: 4 bytes of length, big-endian, then MessagePack.

The worker is not trusted: what it sends is decoded into these types, or the worker is ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from runstead.platform.execution.script.sealed.channel import FRAME_BYTES_MAX, HEADER_BYTES

Level = Literal["debug", "info", "warn", "error"]
#: ``source``: the worker does not have the program any more, and nothing was run.
Failure = Literal["", "source", "syntax", "timeout", "memory", "error"]
Line = tuple[Level, str]
#: More than a worker sends of itself: who sends more is no worker of ours.
Lines = Annotated[tuple[Line, ...], Meta(max_length=2000)]


class Run(Struct, tag_field="type", tag="run", frozen=True, kw_only=True):
    """Server → worker: do this in a fresh context."""

    id: int
    kind: str
    digest: str
    #: None where this worker has had the digest before.
    source: str | None
    #: ``(name, source)``, sent with the source.
    modules: Sequence[tuple[str, str]] = ()
    function: str
    argument: Any
    script_seconds: float
    heap_bytes: int
    stack_bytes: int


class HostResult(Struct, tag_field="type", tag="result", frozen=True, kw_only=True):
    """Server → worker: the answer to a call."""

    ok: bool
    #: JSON of the value, or the message of the error.
    value: str


class Settle(Struct, tag_field="type", tag="settle", frozen=True, kw_only=True):
    """Server → worker: answers to calls that the script did not wait for; it has the turn again."""

    id: int
    #: ``(number of the call, whether it succeeded, JSON of the value or the message of the error)``.
    results: Sequence[tuple[int, bool, str]]


class Drop(Struct, tag_field="type", tag="drop", frozen=True, kw_only=True):
    """Server → worker: an invocation that is parked is over."""

    id: int


class Probe(Struct, tag_field="type", tag="probe", frozen=True, kw_only=True):
    """Server → worker: try to get out."""

    #: The worker's, as the server sees it.
    pid: int


class HostCall(Struct, tag_field="type", tag="call", frozen=True, kw_only=True):
    """Worker → server: the script asks for something."""

    id: int
    #: Of a call that the script does not wait for, within its invocation; 0: the worker waits for the answer.
    number: Annotated[int, Meta(ge=0)] = 0
    name: Annotated[str, Meta(max_length=128)]
    #: JSON array.
    arguments: str
    console: Lines = ()


class Parked(Struct, tag_field="type", tag="parked", frozen=True, kw_only=True):
    """Worker → server: the turn has ended, the invocation has not: it waits for its calls."""

    id: int
    console: Lines = ()


class Done(Struct, tag_field="type", tag="done", frozen=True, kw_only=True):
    """Worker → server: the invocation has ended."""

    id: int
    ok: bool
    value: Any = None
    failure: Failure = ""
    error_name: str = ""
    error_text: str = ""
    #: Lines of ``function (line:column)``.
    error_frames: str = ""
    console: Lines = ()
    script_ms: float = 0.0


class Probed(Struct, tag_field="type", tag="probed", frozen=True, kw_only=True):
    """Worker → server: what it got at although it should not. Empty is good."""

    holes: tuple[str, ...]


ToWorker = Run | HostResult | Settle | Drop | Probe
FromWorker = HostCall | Parked | Done | Probed

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(FromWorker).decode


def frame(message: ToWorker) -> bytes:
    """The message with its length in front.

    :raises ValueError: it is larger than FRAME_BYTES_MAX.
    """
    body = _encode(message)
    if len(body) > FRAME_BYTES_MAX:
        raise ValueError(f"a message of {len(body)} bytes; {FRAME_BYTES_MAX} are allowed")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class FrameReader:
    """Puts frames together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[FromWorker]:
        """What is complete now.

        :raises ValueError: this is not what a worker of ours sends (``msgspec.ValidationError`` is one).
        """
        buffer = self._buffer
        buffer += data
        messages: list[FromWorker] = []
        while len(buffer) >= HEADER_BYTES:
            length = int.from_bytes(buffer[:HEADER_BYTES], "big")
            if length > FRAME_BYTES_MAX:
                raise ValueError(f"a message of {length} bytes; {FRAME_BYTES_MAX} are allowed")
            end = HEADER_BYTES + length
            if len(buffer) < end:
                break
            try:
                messages.append(_decode(memoryview(buffer)[HEADER_BYTES:end]))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise ValueError(str(error)) from error
            del buffer[:end]
        return messages
