"""The output of one attempt: a ring in memory, a file, and everyone who watches.

On disk each line is ``<seq> <seconds since 1970> <o|e|O|E> <bytes>``: o for stdout, e for stderr, a capital letter where the
program wrote no line end there (the piece was cut at LINE_BYTES_MAX, or the output ended).
The bytes are the program's, ANSI escapes included.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from runstead.kernel.clock import Clock, rfc3339
from runstead.kernel.limits import KIB, MIB

#: Lines that are kept in memory, and their bytes together: whatever comes first.
RING_LINES_MAX: Final = 10_000
RING_BYTES_MAX: Final = 16 * MIB
#: A longer line is cut into pieces, so that output without line ends cannot fill the memory.
LINE_BYTES_MAX: Final = 64 * KIB
#: Lines that a watcher is handed at once.
BATCH_LINES_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Line:
    """One line (or piece of one) of output."""

    #: From 1, without gaps, over stdout and stderr together.
    seq: int
    at: float
    is_error: bool
    data: bytes
    #: Whether a line end follows.
    ended: bool = True

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")

    def as_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": rfc3339(datetime.fromtimestamp(self.at, UTC)),
            "is_error": self.is_error,
            "line": self.text,
        }

    def encode(self) -> bytes:
        kind = b"e" if self.is_error else b"o"
        return b"%d %.6f %s %s\n" % (self.seq, self.at, kind if self.ended else kind.upper(), self.data)

    @classmethod
    def decode(cls, stored: bytes) -> Line:
        """:raises ValueError: for what :meth:`encode` did not write, such as the half line of a crash."""
        seq, at, kind, data = stored.removesuffix(b"\n").split(b" ", 3)
        if not stored.endswith(b"\n") or kind not in (b"o", b"e", b"O", b"E"):
            raise ValueError("not a stored line")
        return cls(int(seq), float(at), kind in b"eE", data, kind in b"oe")


@dataclass(frozen=True, slots=True)
class Missed:
    """A watcher was too slow, or asked too late: so many lines are not to be had any more."""

    lines: int


class Ring:
    """The newest lines, bounded in number and in bytes."""

    def __init__(self, lines_max: int = RING_LINES_MAX, bytes_max: int = RING_BYTES_MAX) -> None:
        self._lines: deque[Line] = deque()
        self._lines_max = lines_max
        self._bytes_max = bytes_max
        self._bytes = 0

    @property
    def first_seq(self) -> int | None:
        """The oldest that is kept."""
        return self._lines[0].seq if self._lines else None

    def add(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self._lines.append(line)
            self._bytes += len(line.data)
        while len(self._lines) > self._lines_max or (self._bytes > self._bytes_max and len(self._lines) > 1):
            self._bytes -= len(self._lines.popleft().data)

    def since(self, seq: int, limit: int = BATCH_LINES_MAX) -> list[Line]:
        """At most ``limit`` lines from ``seq`` on, or from the oldest where that is newer."""
        if not self._lines:
            return []
        start = max(0, seq - self._lines[0].seq)
        return list(itertools.islice(self._lines, start, start + limit))


class Splitter:
    """Cuts one of the two streams into lines; keeps the rest until its line end comes."""

    def __init__(self, bytes_max: int = LINE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bool]]:
        """Pairs of bytes and whether a line end follows."""
        *whole, rest = (bytes(self._rest) + chunk).split(b"\n")
        for line in whole:
            *pieces, last = self._cut(line)
            yield from ((piece, False) for piece in pieces)
            yield last, True
        *pieces, last = self._cut(rest)
        yield from ((piece, False) for piece in pieces)
        self._rest = bytearray(last)

    def close(self) -> Iterator[tuple[bytes, bool]]:
        """What stood without a line end when the output ended."""
        if self._rest:
            yield bytes(self._rest), False
            self._rest.clear()

    def _cut(self, line: bytes) -> list[bytes]:
        return [line[at : at + self._bytes_max] for at in range(0, len(line), self._bytes_max)] or [b""]


class LogTee:
    """Takes the output of a running attempt and gives it to the ring, the file and the watchers.

    A line has its number before anyone sees it, and the ring is the only buffer of the watchers: a slow one falls behind
    the ring's oldest line and is told how many it missed; it never slows the program, and never costs memory. What
    does slow the program is the disk: :meth:`write` returns when the file has the lines.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.lines = 0
        self.last: Line | None = None
        #: Hides secrets in a line; None: there are none.
        self.mask: Callable[[bytes], bytes] | None = None
        self._clock = clock
        self._ring = Ring()
        self._splitters = {False: Splitter(), True: Splitter()}
        self._file: BinaryIO | None = None
        self._closed = False
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """:raises OSError: the file cannot be made."""

        def create() -> BinaryIO:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.open("ab", buffering=0)

        self._file = await asyncio.to_thread(create)

    async def write(self, chunk: bytes, *, is_error: bool) -> list[Line]:
        """Take what the program wrote; returns the lines that it made."""
        return await self._append(self._splitters[is_error].feed(chunk), is_error)

    async def close(self) -> list[Line]:
        """The output has ended: hand on what has no line end, close the file, let the watchers go."""
        made = [
            line
            for is_error in (False, True)
            for line in await self._append(self._splitters[is_error].close(), is_error)
        ]
        self._closed = True
        self._announce()
        if self._file is not None:
            await asyncio.to_thread(self._file.close)
        return made

    async def _append(self, pieces: Iterable[tuple[bytes, bool]], is_error: bool) -> list[Line]:
        async with self._writing:
            at = self._clock.now().timestamp()
            made = [
                Line(self.lines + n, at, is_error, self.mask(data) if self.mask else data, ended)
                for n, (data, ended) in enumerate(pieces, start=1)
            ]
            if not made:
                return made
            self.lines += len(made)
            self.last = made[-1]
            assert self._file is not None, "not open"  # noqa: S101
            await asyncio.to_thread(self._file.write, b"".join(line.encode() for line in made))
            self._ring.add(made)
            self._announce()
            return made

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self, seq: int) -> AsyncIterator[Line | Missed]:
        """Every line from ``seq`` on, first what is kept, then what comes, until the output ends."""
        while (first := self._ring.first_seq) is not None and seq < first:
            # Older than the ring: the file has it. Meanwhile the ring moves on, hence the loop.
            before = seq
            async for line in read_lines(self.path, seq, until=first):
                yield line
                seq = line.seq + 1
            if seq == before:
                break
        while True:
            changed, first = self._changed, self._ring.first_seq
            if first is not None and seq < first:
                yield Missed(first - seq)
                seq = first
            batch = self._ring.since(seq)
            for line in batch:
                yield line
                seq = line.seq + 1
            if not batch:
                if self._closed:
                    return
                await changed.wait()


async def read_lines(path: Path, seq: int = 1, *, until: int | None = None) -> AsyncIterator[Line]:
    """The stored lines from ``seq`` on, before ``until``. What a crash left half is passed over."""
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except FileNotFoundError:
        return
    with file:
        while stored := await asyncio.to_thread(lambda: file.readlines(256 * KIB)):
            for one in stored:
                try:
                    line = Line.decode(one)
                except ValueError:
                    continue
                if until is not None and line.seq >= until:
                    return
                if line.seq >= seq:
                    yield line
