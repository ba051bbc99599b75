"""Logs that are long become parts: whatever is packed, removed or interrupted meanwhile, lines are read once and in order."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.jobs.output.files import Part, follow_lines, packed, parts_of, read_lines, seq_at
from runstead.capabilities.jobs.output.lines import Missed
from runstead.capabilities.jobs.output.packing import pack
from runstead.capabilities.jobs.output.tee import LogTee
from runstead.testing.clock import FakeClock

#: Bytes of a part in these tests: some three lines.
SMALL = 100


def tee_in(folder: Path, clock: FakeClock | None = None) -> LogTee:
    return LogTee(folder / "x.log", clock or FakeClock(), state=folder / "state", part_bytes=SMALL)


@asynccontextmanager
async def server(folder: Path, clock: FakeClock | None = None) -> AsyncIterator[LogTee]:
    """A log while one server lives, which then goes without a word."""
    tee = tee_in(folder, clock)
    await tee.open()
    try:
        yield tee
    finally:
        assert tee._file is not None
        assert tee._state is not None
        tee._file.close()
        os.close(tee._state)


async def fill(tee: LogTee, first: int, last: int) -> None:
    for number in range(first, last + 1):
        await tee.take("stdout", b"line %d\n" % number, 0)


async def seqs(path: Path, start: int = 1) -> list[int]:
    return [line.seq async for lines in read_lines(path, start) for line in lines]


def pack_part(part: Part) -> None:
    if part.path.exists():
        pack(part.path)
        part.path.unlink()


@given(
    st.lists(st.lists(st.sampled_from(["line", "lines", "pack"]), max_size=10), max_size=4),
    st.integers(min_value=1, max_value=60),
)
def test_whatever_happens_each_line_is_there_once(lives: list[list[str]], start: int) -> None:
    async def live(folder: Path, acts: list[str]) -> None:
        async with server(folder) as tee:
            for act in acts:
                if act == "pack":
                    for part in parts_of(tee.path):
                        pack_part(part)
                else:
                    await fill(tee, tee.lines + 1, tee.lines + (1 if act == "line" else 7))
            parts = parts_of(tee.path)
            assert [part.first for part in parts] == [1, *(part.last + 1 for part in parts)][: len(parts)]
            assert await seqs(tee.path, start) == list(range(start, tee.lines + 1))

    async def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for acts in lives:
                await live(Path(folder), acts)

    asyncio.run(work())


async def test_a_server_that_went_between_the_two_steps_of_a_part(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with server(tmp_path) as tee:
        await fill(tee, 1, 3)
        assert parts_of(tee.path) == []
        await fill(tee, 4, 4)
    (part,) = parts_of(tee.path)
    size, rest = state.read_bytes()[:8], state.read_bytes()[8:]
    assert size == bytes(8)
    # As if it had put the file aside, and neither begun another nor written that down.
    state.write_bytes(part.path.stat().st_size.to_bytes(8, "little") + rest)
    tee.path.unlink()
    async with server(tmp_path) as again:
        assert again.lines == 4
        assert again.last is not None
        assert again.last.data == b"line 4"
        await fill(again, 5, 9)
        assert await seqs(again.path) == list(range(1, 10))


async def test_what_was_removed_is_told_of(tmp_path: Path) -> None:
    async with server(tmp_path) as tee:
        await fill(tee, 1, 40)
    first, second, *_ = parts_of(tee.path)
    first.path.unlink()
    pack_part(second)
    found = [one async for one in follow_lines(tee.path, 1)]
    assert found[0] == Missed(first.last)
    assert await seqs(tee.path) == list(range(second.first, 41))
    assert await seqs(tee.path, second.last) == list(range(second.last, 41))
    assert [one async for one in follow_lines(tee.path, 41)] == []


async def test_a_time_is_found_in_every_part(tmp_path: Path) -> None:
    clock, moments = FakeClock(), []
    async with server(tmp_path, clock) as tee:
        for number in range(1, 30):
            clock.advance(10)
            moments.append(clock.now().timestamp())
            await fill(tee, number, number)
    pack_part(parts_of(tee.path)[1])
    for number, at in enumerate(moments, start=1):
        assert await seq_at(tee.path, at) == number
        assert await seq_at(tee.path, at - 1) == number
    assert await seq_at(tee.path, moments[-1] + 1) is None


async def test_a_reader_who_is_overtaken_misses_nothing(tmp_path: Path) -> None:
    """Between any two of its reads the file it reads becomes a part, is packed, and another grows."""
    async with server(tmp_path) as tee:
        await fill(tee, 1, 2)
        seen: list[int] = []
        async for lines in read_lines(tee.path):
            seen += [line.seq for line in lines]
            if tee.lines < 60:
                await fill(tee, tee.lines + 1, tee.lines + 5)
                for part in parts_of(tee.path):
                    pack_part(part)
        assert seen[-1] > 40
        seen += await seqs(tee.path, seen[-1] + 1)
        assert seen == list(range(1, tee.lines + 1))


def test_packing_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"1 2.0 o data\n")

    def full(_file: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        pack(path)
    assert [one.name for one in tmp_path.iterdir()] == ["x.log"]
    assert not packed(path).exists()
