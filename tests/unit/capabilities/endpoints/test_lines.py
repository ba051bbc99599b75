from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.endpoints.lines import LineSplitter, level_of


@given(data=st.binary(max_size=80), cuts=st.lists(st.integers(0, 80), max_size=6))
def test_the_lines_are_the_same_whatever_the_chunks(data: bytes, cuts: list[int]) -> None:
    data = data.replace(b"\r", b"")
    edges = [0, *sorted(cuts), len(data)]
    splitter = LineSplitter()
    lines = [line for a, b in itertools.pairwise(edges) for line in splitter.feed(data[a:b])]
    lines += splitter.close()
    assert lines == data.removesuffix(b"\n").split(b"\n") if data else lines == []


@given(pieces=st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), max_size=10))
def test_a_line_without_end_takes_bounded_memory_and_says_what_was_dropped(pieces: list[bytes]) -> None:
    splitter = LineSplitter(longest=16)
    for piece in pieces:
        assert list(splitter.feed(piece)) == []
    whole = b"".join(pieces).removesuffix(b"\r")
    lines = list(splitter.feed(b"\nnext\n"))
    assert lines[1] == b"next"
    if len(whole) > 17:
        assert f"[{len(b''.join(pieces)) - 16} bytes more]".encode() in lines[0]


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("ERROR it broke", "error"),
        ("Error: it broke", "error"),
        ("error: it broke", "error"),
        ("  [warn] careful", "warn"),
        ("<WARNING> careful", "warn"),
        ("WARNING:root:careful", "warn"),
        ("CRITICAL the end", "fatal"),
        ("DEBUG x=1", "debug"),
        ("info: fine", "info"),
        ("Error handling is hard", "info"),
        ("errors: 0", "info"),
        ("ERRORS everywhere", "info"),
        ("no level here: error", "info"),
        ("", "info"),
    ],
)
def test_a_line_has_the_level_that_its_first_word_claims(line: str, level: str) -> None:
    assert level_of(line) == level
