"""Where the output of jobs is kept: ``<YYYY-MM-DD>/script_<id>.log`` while it grows, with ``.zst`` after it once it is whole.

Later attempts have their number before the suffix. Long files have an index of places: a line is found by its number or its
time without reading what comes before.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.output.lines import Line
from runstead.kernel.clock import rfc3339
from runstead.kernel.limits import KIB

#: Bytes that are read at once.
READ_BYTES: Final = 256 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a part of a log begins."""

    first_seq: int
    #: Seconds since 1970 of its first line.
    first_at: float
    #: In the plain file.
    start: int
    #: In the packed file, where a frame begins; None while it is not packed.
    packed_start: int | None = None


class Places(Protocol):
    """The index of one attempt's log."""

    async def by_seq(self, seq: int) -> Place | None:
        """The last place that is not after this line; None: none is, begin at the beginning."""
        ...

    async def by_time(self, at: float) -> Place | None:
        """The last place whose first line is older."""
        ...


class NoPlaces:
    """A log without an index."""

    async def by_seq(self, _seq: int) -> Place | None:
        return None

    async def by_time(self, _at: float) -> Place | None:
        return None


class LogFiles:
    """The files below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, job: Job, attempt: int | None = None) -> Path:
        """Of one attempt, while it grows; default: the present one."""
        return self.paths(job.id, rfc3339(job.created_at), attempt or job.attempt)[-1]

    def paths(self, job_id: str, created_at: str, attempts: int) -> Sequence[Path]:
        """Of so many attempts."""
        suffixes = ["", *(f".{number}" for number in range(2, attempts + 1))]
        return [self.folder / created_at[:10] / f"script_{job_id}{suffix}.log" for suffix in suffixes]

    def every(self, job_id: str, created_at: str, attempts: int) -> Sequence[Path]:
        """All that there may be, packed and not."""
        return [one for path in self.paths(job_id, created_at, attempts) for one in (path, packed(path))]


def packed(path: Path) -> Path:
    """The name of a log once it is whole."""
    return path.with_name(f"{path.name}.zst")


async def read_lines(
    path: Path, seq: int = 1, *, until: int | None = None, places: Places | None = None
) -> AsyncIterator[list[Line]]:
    """The stored lines from ``seq`` on, before ``until``, as they are read. What a crash left half is passed over."""
    place = await (places or NoPlaces()).by_seq(seq)
    file = await asyncio.to_thread(_open, path, place)
    if file is None:
        return
    with file:
        while stored := await asyncio.to_thread(file.readlines, READ_BYTES):
            lines = _decoded(stored, seq, until)
            if lines:
                yield lines
            if until is not None and lines and lines[-1].seq + 1 >= until:
                return


async def seq_at(path: Path, at: float, *, places: Places | None = None) -> int | None:
    """The number of the first line that is not older than ``at`` (seconds since 1970); None: there is none."""
    place = await (places or NoPlaces()).by_time(at)
    file = await asyncio.to_thread(_open, path, place)
    if file is None:
        return None
    with file:
        while stored := await asyncio.to_thread(file.readlines, READ_BYTES):
            for line in _decoded(stored, 1, None):
                if line.at >= at:
                    return line.seq
    return None


def _open(path: Path, place: Place | None) -> BinaryIO | None:
    """At a place, in the plain file or the packed one, whichever there is."""
    # Between a look at one and the other it may be packed.
    for _ in range(2):
        try:
            plain = path.open("rb")
            plain.seek(place.start if place else 0)
        except FileNotFoundError:
            pass
        else:
            return plain
        try:
            file = packed(path).open("rb")
        except FileNotFoundError:
            continue
        import zstandard

        file.seek((place.packed_start or 0) if place else 0)
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=True)
        return io.BufferedReader(reader, READ_BYTES)
    return None


def _decoded(stored: list[bytes], seq: int, until: int | None) -> list[Line]:
    lines = []
    for one in stored:
        try:
            line = Line.decode(one)
        except ValueError:
            continue
        if until is not None and line.seq >= until:
            break
        if line.seq >= seq:
            lines.append(line)
    return lines
