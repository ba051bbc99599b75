"""From the bytes of a request to the events in it, without trusting their sender."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from runstead.capabilities.logs.errors import BadBatchError, BatchTooLargeError
from runstead.capabilities.logs.model import BATCH_BYTES_MAX, BATCH_EVENTS_MAX
from runstead.platform.http import UnsupportedMediaTypeError

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"

_NDJSON_NAMES: Final = frozenset({NDJSON, "application/ndjson", "application/jsonl", "application/jsonlines"})
ENCODINGS: Final = ("gzip", "zstd")

#: Tells zlib to expect the header of gzip (zlib.net/manual.html, inflateInit2).
_GZIP_WINDOW_BITS: Final = 31
#: Memory that a zstd frame may ask for: what a frame of a batch can need, rounded up.
_ZSTD_WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024

_decode = msgspec.json.Decoder().decode


def decompress(body: bytes, encoding: str) -> bytes:
    """Undo ``Content-Encoding``, never making more than BATCH_BYTES_MAX.

    :raises UnsupportedMediaTypeError: another encoding than gzip, zstd or identity.
    :raises BatchTooLargeError: it would be more.
    :raises BadBatchError: it is not what the header says.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _gunzip(body)
        case "zstd":
            return _unzstd(body)
        case _:
            raise UnsupportedMediaTypeError(
                "This Content-Encoding is not known here.",
                details={"allowed": list(ENCODINGS)},
                headers={"Accept-Encoding": ", ".join(ENCODINGS)},
            )


def _gunzip(body: bytes) -> bytes:
    """All members of a gzip stream (RFC 1952 section 2.2)."""
    out = bytearray()
    left = body
    while left:
        member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        try:
            # One byte more than allowed shows that there is more, without making it.
            out += member.decompress(left, BATCH_BYTES_MAX - len(out) + 1)
        except zlib.error as error:
            raise BadBatchError("The body is not gzip, as its Content-Encoding says.") from error
        if len(out) > BATCH_BYTES_MAX:
            raise too_large("after decompression")
        if not member.eof:
            raise BadBatchError("The gzip body ends too early.")
        left = member.unused_data
    return bytes(out)


def _unzstd(body: bytes) -> bytes:
    # Few senders use it, and the module is large.
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX).stream_reader(
        body, read_across_frames=True
    )
    out = bytearray()
    try:
        while chunk := reader.read(BATCH_BYTES_MAX - len(out) + 1):
            out += chunk
            if len(out) > BATCH_BYTES_MAX:
                raise too_large("after decompression")
    except zstandard.ZstdError as error:
        raise BadBatchError("The body is not zstd, as its Content-Encoding says.") from error
    return bytes(out)


def too_large(where: str) -> BatchTooLargeError:
    """The refusal, with the limits."""
    return BatchTooLargeError(
        f"A batch has at most {BATCH_BYTES_MAX} bytes, also {where}, and {BATCH_EVENTS_MAX} events.",
        details={"bytes_max": BATCH_BYTES_MAX, "events_max": BATCH_EVENTS_MAX},
    )


def read_events(body: bytes, content_type: str) -> list[Any]:
    """The events, as decoded JSON; a line of NDJSON that is none is the exception in its place.

    :raises UnsupportedMediaTypeError: neither JSON nor NDJSON.
    :raises BatchTooLargeError: more than BATCH_EVENTS_MAX events.
    :raises BadBatchError: it is not what the header says.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _NDJSON_NAMES:
        events = list(_lines(body))
    elif kind == JSON or not kind:
        events = _whole(body)
    else:
        raise UnsupportedMediaTypeError(details={"allowed": [JSON, NDJSON]})
    if len(events) > BATCH_EVENTS_MAX:
        raise too_large("after decompression")
    if not events:
        raise BadBatchError("The batch holds no events.")
    return events


def _whole(body: bytes) -> list[Any]:
    try:
        value = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBatchError(f"The body is not JSON: {error}") from error
    events = value.get("events") if isinstance(value, dict) else value
    if not isinstance(events, list):
        raise BadBatchError('The body is neither {"events": [...]} nor an array.')
    return events


def _lines(body: bytes) -> Iterator[Any]:
    count = 0
    for line in body.splitlines():
        if not line.strip():
            continue
        count += 1
        if count > BATCH_EVENTS_MAX:
            raise too_large("after decompression")
        try:
            yield _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield error
