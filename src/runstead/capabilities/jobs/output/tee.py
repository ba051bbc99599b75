"""The output of one attempt: a ring in memory, a file, and everyone who watches."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Final

from runstead.capabilities.jobs.output.files import Part, Place, Places, follow_lines, parts_of, read_lines
from runstead.capabilities.jobs.output.lines import Line, Missed, Splitter
from runstead.capabilities.jobs.output.packing import PLACE_BYTES
from runstead.capabilities.jobs.output.ring import Ring
from runstead.kernel.clock import Clock
from runstead.kernel.limits import MIB
from runstead.platform.execution.process import STREAMS

#: How far the log has come: bytes of the file, lines, and what of each spool is in it.
_STATE: Final = struct.Struct("<qqqq")
#: Bytes of a file, about, before another is begun.
PART_BYTES: Final = 64 * MIB


class LogTee:
    """Takes the output of a running attempt and gives it to the ring, the file and the watchers.

    A line has its number before anyone sees it, and the ring is the only buffer of the watchers: a slow one falls behind
    the ring's oldest line and is told how many it missed; it never slows the program, and never costs memory. What
    does slow the program is the disk: :meth:`take` returns when the file has the lines.

    With a state file, each step is all or nothing: one that the server did not live to finish is undone by the next
    server, before anybody saw it, and done again from the spool.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        state: Path | None = None,
        places: Places | None = None,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self.path = path
        self.lines = 0
        self.last: Line | None = None
        #: Hides secrets in a line; None: there are none.
        self.mask: Callable[[bytes], bytes] | None = None
        #: Places of this log that the index does not have yet.
        self.new_places: list[Place] = []
        #: Parts that are full, and not packed yet.
        self.full: list[Part] = []
        #: What of each stream is in the file.
        self.positions: dict[str, int] = dict.fromkeys(STREAMS, 0)
        self._clock = clock
        self._state_path = state
        self._places = places
        self._ring = Ring()
        self._splitters = {name: Splitter() for name in STREAMS}
        self._file: BinaryIO | None = None
        self._state: int | None = None
        self._part_bytes = part_bytes
        #: Of the file that grows: its bytes, and its first line.
        self._size = 0
        self._first = 1
        self._place_at = PLACE_BYTES
        self._closed = False
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """Begin, or go on where the state file says that an earlier server stopped.

        :raises OSError: the file cannot be made.
        """
        await asyncio.to_thread(self._open)
        if self.lines:
            async for lines in read_lines(self.path, self.lines, places=self._places):
                self.last = lines[-1]

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab", buffering=0)
        if self._state_path is None:
            return
        self._state = os.open(self._state_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stored = os.pread(self._state, _STATE.size, 0)
        known = _STATE.unpack(stored) if len(stored) == _STATE.size else (0, 0, 0, 0)
        self._size, self.lines, self.positions["stdout"], self.positions["stderr"] = known
        parts = parts_of(self.path)
        self._first = parts[-1].last + 1 if parts else 1
        if self._first > self.lines:
            # The file became a part, and the server did not live to write that down.
            self._size = 0
        self._file.truncate(self._size)
        self._place_at = self._size + PLACE_BYTES

    async def take(self, name: str, chunk: bytes, position: int) -> list[Line]:
        """Take what the program wrote.

        :param position: where it ends in the spool of this stream.
        :returns: the lines that it made.
        """
        return await self._append(name, self._splitters[name].feed(chunk), position)

    def held_back(self, name: str) -> int:
        """Bytes at the end of a stream that wait for their line end."""
        return self._splitters[name].held_back

    async def close(self) -> list[Line]:
        """The output has ended: hand on what has no line end, close the file, let the watchers go.

        :raises OSError: the file cannot take it; it is closed all the same.
        """
        made = []
        try:
            for name, splitter in self._splitters.items() if self._file is not None else ():
                end = self.positions[name] + splitter.held_back
                made += await self._append(name, splitter.close(), end)
        finally:
            if self._file is not None:
                await asyncio.to_thread(self._file.close)
                self._file = None
            if self._state is not None:
                os.close(self._state)
                self._state = None
            self._closed = True
            self._announce()
        return made

    async def _append(self, name: str, pieces: Iterable[tuple[bytes, bool]], position: int) -> list[Line]:
        async with self._writing:
            at, is_error = self._clock.now().timestamp(), name == "stderr"
            made = [
                Line(self.lines + n, at, is_error, self.mask(data) if self.mask else data, ended)
                for n, (data, ended) in enumerate(pieces, start=1)
            ]
            self.positions[name] = position - self._splitters[name].held_back
            if not made:
                return made
            if self._size >= self._place_at:
                self.new_places.append(Place(first_seq=made[0].seq, first_at=at, start=self._size))
                self._place_at = self._size + PLACE_BYTES
            await asyncio.to_thread(self._store, made)
            if self._size >= self._part_bytes:
                await asyncio.to_thread(self._begin_part)
            self.last = made[-1]
            self._ring.add(made)
            self._announce()
            return made

    def _store(self, made: list[Line]) -> None:
        assert self._file is not None, "not open"  # noqa: S101
        left = memoryview(b"".join([line.encode() for line in made]))
        size = self._size + len(left)
        while left:
            # A write may be cut short, as by a disk that is nearly full.
            left = left[self._file.write(left) :]
        self._size, self.lines = size, made[-1].seq
        self._note_state()

    def _note_state(self) -> None:
        if self._state is not None:
            state = (self._size, self.lines, self.positions["stdout"], self.positions["stderr"])
            os.pwrite(self._state, _STATE.pack(*state), 0)

    def _begin_part(self) -> None:
        """The file is full: put it aside and go on in another."""
        assert self._file is not None, "not open"  # noqa: S101
        folder = self.path.with_suffix(".parts")
        folder.mkdir(exist_ok=True)
        part = Part(folder / f"{self._first}-{self.lines}", self._first, self.lines)
        self._file.close()
        self.path.rename(part.path)
        self._file = self.path.open("ab", buffering=0)
        self._size, self._first, self._place_at = 0, self.lines + 1, PLACE_BYTES
        self._note_state()
        self.full.append(part)

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self, seq: int) -> AsyncIterator[list[Line] | Missed]:
        """Every line from ``seq`` on, first what is kept, then what comes, until the output ends."""
        seq = max(seq, 1)
        while seq <= self.lines and ((first := self._ring.first_seq) is None or seq < first):
            # Older than the ring: the file has it. Meanwhile the ring moves on, hence the loop.
            before = seq
            async for found in follow_lines(self.path, seq, until=first, places=self._places):
                yield found
                seq = seq + found.lines if isinstance(found, Missed) else found[-1].seq + 1
            if seq == before:
                break
        while True:
            changed, first = self._changed, self._ring.first_seq
            if first is not None and seq < first:
                yield Missed(first - seq)
                seq = first
            batch = self._ring.since(seq)
            if batch:
                yield batch
                seq = batch[-1].seq + 1
            elif self._closed:
                return
            else:
                await changed.wait()
