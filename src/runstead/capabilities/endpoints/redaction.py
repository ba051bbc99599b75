"""Masking secrets in what is kept of a run, whatever its size."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from runstead.capabilities.endpoints.ports import Redactor
from runstead.kernel.limits import KIB, MIB

#: How much of a file is held at once.
CHUNK_BYTES = 4 * MIB
#: A secret up to this length is found also when it lies across two chunks.
SECRET_BYTES_MAX = 8 * KIB


def redact_json(value: Any, redactor: Redactor) -> Any:
    """The same JSON value with secrets masked; where that breaks the JSON (a number that is a secret), its text as one string."""
    encoded = msgspec.json.encode(value)
    masked = redactor.redact(encoded)
    if masked == encoded:
        return value
    try:
        return msgspec.json.decode(masked)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return masked.decode("utf-8", "replace")


def redact_stream(
    chunks: Iterable[bytes], redactor: Redactor, *, longest: int = SECRET_BYTES_MAX
) -> Iterator[bytes]:
    """Mask a stream without holding it.

    Of each buffer the last ``longest`` bytes wait for the next chunk, and the cut is moved back while a secret lies across it:
    that is so when masking both sides apart gives another text than masking the whole.
    """
    buffer = b""
    for chunk in chunks:
        buffer += chunk
        cut = len(buffer) - longest
        if cut <= 0:
            continue
        whole = redactor.redact(buffer)
        if whole == buffer:
            yield buffer[:cut]
            buffer = buffer[cut:]
            continue
        while cut > 0:
            head = redactor.redact(buffer[:cut])
            if head + redactor.redact(buffer[cut:]) == whole:
                yield head
                buffer = buffer[cut:]
                break
            cut -= longest
    if buffer:
        yield redactor.redact(buffer)


def redact_file(path: Path, redactor: Redactor) -> bool:
    """Mask a regular file in place; anything else (a link, a pipe) is left alone.

    :returns: whether something was masked.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as source:
        status = os.fstat(source.fileno())
        if not stat.S_ISREG(status.st_mode):
            return False
        if not _holds_a_secret(source.read, redactor):
            return False
        source.seek(0)
        draft = path.with_name(f"{path.name[:200]}.redacting")
        with draft.open("xb") as target:
            for piece in redact_stream(iter(lambda: source.read(CHUNK_BYTES), b""), redactor):
                target.write(piece)
        draft.chmod(stat.S_IMODE(status.st_mode))
        draft.replace(path)
    return True


def _holds_a_secret(read: Any, redactor: Redactor) -> bool:
    tail = b""
    while chunk := read(CHUNK_BYTES):
        window = tail + chunk
        if redactor.redact(window) != window:
            return True
        tail = window[-SECRET_BYTES_MAX:]
    return False
