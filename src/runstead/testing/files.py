"""Looking into what a server wrote."""

from __future__ import annotations

from pathlib import Path

import zstandard


def content_of(path: Path) -> bytes:
    """The bytes of a file; of a packed one those that were packed."""
    if path.suffix != ".zst":
        return path.read_bytes()
    with path.open("rb") as file:
        unpacked: bytes = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    return unpacked
