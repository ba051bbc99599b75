from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.jobs.output.files import read_lines
from runstead.capabilities.jobs.output.lines import Line, Missed, Splitter
from runstead.capabilities.jobs.output.ring import Ring
from runstead.capabilities.jobs.output.tee import LogTee
from runstead.kernel.clock import SystemClock

chunks = st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"x", b"\n")), max_size=20)


@given(chunks, st.integers(min_value=1, max_value=7))
def test_however_the_bytes_come_they_are_all_there(pieces: list[bytes], longest: int) -> None:
    splitter = Splitter(longest)
    lines = [line for piece in pieces for line in splitter.feed(piece)] + list(splitter.close())
    assert b"".join(data + (b"\n" if ended else b"") for data, ended in lines) == b"".join(pieces)
    assert all(len(data) <= longest and b"\n" not in data for data, _ in lines)


@given(
    st.integers(min_value=1), st.booleans(), st.binary().filter(lambda data: b"\n" not in data), st.booleans()
)
def test_a_stored_line_reads_back(seq: int, is_error: bool, data: bytes, ended: bool) -> None:
    line = Line(seq, 1_700_000_000.25, is_error, data, ended)
    assert Line.decode(line.encode()) == line


@pytest.mark.parametrize("stored", [b"", b"1 2.0 o half", b"x\n", b"1 2.0 z data\n", b"\n"])
def test_what_a_crash_left_is_no_line(stored: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Line.decode(stored)


@pytest.mark.req("JOBS-005")
@given(st.lists(st.integers(min_value=0, max_value=30), max_size=60), st.integers(min_value=1, max_value=70))
def test_the_ring_keeps_the_newest_within_its_bounds(sizes: list[int], start: int) -> None:
    ring = Ring(lines_max=10, bytes_max=100)
    lines = [Line(seq, 0.0, False, b"x" * size) for seq, size in enumerate(sizes, start=1)]
    for line in lines:
        ring.add([line])
        kept = ring.since(1, limit=1000)
        assert kept == lines[line.seq - len(kept) : line.seq]
        assert len(kept) <= 10
        assert sum(len(one.data) for one in kept) <= 100
    assert ring.since(start) == [line for line in ring.since(1) if line.seq >= start]


@given(chunks, st.integers(min_value=0, max_value=20), st.integers(min_value=1, max_value=5))
def test_a_watcher_sees_each_line_once_whenever_it_joins(
    pieces: list[bytes], joins_after: int, start: int
) -> None:
    async def watch() -> None:
        with tempfile.TemporaryDirectory() as folder:
            tee = LogTee(Path(folder) / "log", SystemClock())
            await tee.open()
            seen: list[Line] = []

            async def follow() -> None:
                async for found in tee.follow(start):
                    assert not isinstance(found, Missed)
                    seen.extend(found)

            watcher: asyncio.Task[None] | None = None
            for number, piece in enumerate(pieces):
                if number == joins_after:
                    watcher = asyncio.create_task(follow())
                await tee.take(("stdout", "stderr")[number % 2], piece, 0)
            await tee.close()
            await (watcher or asyncio.create_task(follow()))
            stored = [line async for lines in read_lines(tee.path, start) for line in lines]
            assert seen == stored
            assert [line.seq for line in stored] == list(range(start, tee.lines + 1))

    asyncio.run(watch())


async def test_a_watcher_that_is_too_slow_is_told_how_much_it_missed(tmp_path: Path) -> None:
    tee = LogTee(tmp_path / "log", SystemClock())
    await tee.open()
    await tee.take("stdout", b"first\n", 6)
    watcher = tee.follow(1)
    first = await anext(watcher)
    assert [line.data for line in first] == [b"first"]  # type: ignore[union-attr]
    await tee.take("stdout", b"line\n" * 25_000, 0)
    assert await anext(watcher) == Missed(15_000)
    after = await anext(watcher)
    assert not isinstance(after, Missed)
    assert after[0].seq == 15_002
    await tee.close()
