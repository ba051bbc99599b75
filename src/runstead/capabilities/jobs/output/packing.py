"""A log that is whole becomes a zstd file (RFC 8878) of frames that can each be read alone: `zstdcat` reads it as one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from runstead.capabilities.jobs.output.files import Place, packed
from runstead.capabilities.jobs.output.lines import Line
from runstead.kernel.limits import MIB

#: Bytes of a log between two places that can be found, about.
PLACE_BYTES: Final = MIB
#: The library's own middle: fast, and logs shrink tenfold already.
LEVEL: Final = 3


def pack(path: Path) -> list[Place]:
    """Write the packed file beside the plain one, which stays; returns its places but the first, which is the beginning.

    :raises FileNotFoundError: there is no plain file.
    :raises OSError: the disk is full; nothing is left of the packed one.
    """
    target = packed(path)
    draft = target.with_suffix(".zst.new")
    try:
        places = _pack(path, draft)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    draft.rename(target)
    return places


def _pack(path: Path, draft: Path) -> list[Place]:
    # Here, for an idle server packs nothing.
    import zstandard

    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    places, start = [], 0
    with path.open("rb") as source, draft.open("wb") as file:
        # Not line by line: that would hold up the interpreter, and this is done while jobs print.
        while data := source.read(PLACE_BYTES) + source.readline():
            if start:
                places.append(_place(data, start, file.tell()))
            file.write(compressor.compress(data))
            start += len(data)
        file.flush()
        os.fsync(file.fileno())
    return [place for place in places if place is not None]


def _place(data: bytes, start: int, packed_start: int) -> Place | None:
    try:
        first = Line.decode(data[: data.find(b"\n") + 1])
    except ValueError:
        return None
    return Place(first_seq=first.seq, first_at=first.at, start=start, packed_start=packed_start)
