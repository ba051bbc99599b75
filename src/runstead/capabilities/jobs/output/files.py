"""Where the output of jobs is kept: ``<YYYY-MM-DD>/script_<id>.log`` while it grows, with ``.zst`` after it once it is whole.

Later attempts have their number before the suffix. Where a log is long, what was full is beside it, packed as well:
``script_<id>.parts/<first line>-<last line>.zst``. Long files have an index of places: a line is found by its number or its
time without reading what comes before.
"""

from __future__ import annotations

import asyncio
import io
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.output.lines import Line, Missed
from runstead.kernel.clock import rfc3339
from runstead.kernel.limits import KIB

#: Bytes that are read at once.
READ_BYTES: Final = 256 * KIB
#: Looks for the file that has a line, while others are made, packed and removed.
OPEN_TRIES: Final = 10
#: No log has so many lines.
LINES_MAX: Final = 2**62
_PART: Final = re.compile(r"(\d{1,18})-(\d{1,18})(\.zst)?")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a log that was full, and its lines, both included."""

    #: While it is not packed.
    path: Path
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a part of a log begins."""

    first_seq: int
    #: Seconds since 1970 of its first line.
    first_at: float
    #: In the plain file of its part.
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

    def remove(self, job_id: str, created_at: str, attempts: int) -> None:
        """All that there is of so many attempts."""
        for path in self.paths(job_id, created_at, attempts):
            path.unlink(missing_ok=True)
            packed(path).unlink(missing_ok=True)
            shutil.rmtree(path.with_suffix(".parts"), ignore_errors=True)


def packed(path: Path) -> Path:
    """The name of a log once it is whole."""
    return path.with_name(f"{path.name}.zst")


def parts_of(path: Path) -> list[Part]:
    """The full parts of a log, the oldest first. Empty for most: a log becomes parts when it is long."""
    found = {}
    try:
        names = [one.name for one in path.with_suffix(".parts").iterdir()]
    except FileNotFoundError:
        return []
    for name in names:
        if match := _PART.fullmatch(name):
            first, last = int(match[1]), int(match[2])
            found[last] = Part(path.with_suffix(".parts") / f"{first}-{last}", first, last)
    return [found[last] for last in sorted(found)]


async def read_lines(
    path: Path, seq: int = 1, *, until: int | None = None, places: Places | None = None
) -> AsyncIterator[list[Line]]:
    """The stored lines from ``seq`` on, before ``until``, as they are read. What a crash left half is passed over."""
    place = await (places or NoPlaces()).by_seq(seq)
    async for lines in _lines_from(path, seq, place, until):
        yield lines


async def follow_lines(
    path: Path, seq: int, *, until: int | None = None, places: Places | None = None
) -> AsyncIterator[list[Line] | Missed]:
    """As :func:`read_lines`, and how many are gone where the oldest were removed."""
    seq = max(seq, 1)
    async for lines in read_lines(path, seq, until=until, places=places):
        if lines[0].seq > seq:
            yield Missed(lines[0].seq - seq)
        yield lines
        seq = lines[-1].seq + 1


async def seq_at(path: Path, at: float, *, places: Places | None = None) -> int | None:
    """The number of the first line that is not older than ``at`` (seconds since 1970); None: there is none."""
    place = await (places or NoPlaces()).by_time(at)
    async for lines in _lines_from(path, place.first_seq if place else 1, place, None):
        for line in lines:
            if line.at >= at:
                return line.seq
    return None


async def _lines_from(
    path: Path, seq: int, place: Place | None, until: int | None
) -> AsyncIterator[list[Line]]:
    """Through all parts, and then what still grows; that it becomes a part meanwhile does no harm."""
    while (opened := await asyncio.to_thread(_open, path, seq, place)) is not None:
        file, part = opened
        with file:
            while stored := await asyncio.to_thread(file.readlines, READ_BYTES):
                lines = _decoded(stored, seq, until)
                if lines:
                    yield lines
                    seq = lines[-1].seq + 1
                if until is not None and seq >= until:
                    return
        place = None
        if part.last < LINES_MAX:
            seq = max(seq, part.last + 1)
        elif not any(one.last >= part.first for one in await asyncio.to_thread(parts_of, path)):
            # It still grows, and that is all there is for now.
            return


def _open(path: Path, seq: int, place: Place | None) -> tuple[BinaryIO, Part] | None:
    """The part that has this line, or the first after it that there is, or what still grows: the part without an end."""
    for _ in range(OPEN_TRIES):
        parts = parts_of(path)
        grows = Part(path, parts[-1].last + 1 if parts else 1, LINES_MAX)
        part = next((one for one in parts if one.last >= seq), grows)
        file = _open_file(part.path, place if place is not None and part.first <= place.first_seq else None)
        if part is grows and any(one.last >= seq for one in parts_of(path)):
            # It has become a part since, and what was opened is another.
            if file is not None:
                file.close()
            continue
        if file is not None:
            return file, part
        if part is grows:
            return None
        # It was the oldest, and has gone since.
    return None


def _open_file(path: Path, place: Place | None) -> BinaryIO | None:
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
