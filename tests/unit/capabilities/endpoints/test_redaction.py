from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.endpoints import redaction
from runstead.capabilities.endpoints.redaction import redact_file, redact_json, redact_stream

SECRET = b"hunter22"


class Masker:
    """Knows one secret."""

    def redact(self, data: bytes) -> bytes:
        return re.sub(re.escape(SECRET), b"***", data)


@given(
    parts=st.lists(st.one_of(st.just(SECRET), st.binary(max_size=6)), max_size=12),
    cuts=st.lists(st.integers(0, 120), max_size=8),
)
def test_a_secret_is_masked_wherever_the_chunks_cut_it(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    edges = [0, *sorted(cuts), len(data)]
    chunks = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert b"".join(redact_stream(chunks, Masker(), longest=len(SECRET))) == Masker().redact(data)


@pytest.mark.parametrize("offset", range(-12, 4))
def test_a_secret_across_the_chunks_of_a_file_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    monkeypatch.setattr(redaction, "CHUNK_BYTES", 64)
    monkeypatch.setattr(redaction, "SECRET_BYTES_MAX", 16)
    path = tmp_path / "a"
    path.write_bytes(b"x" * (64 + offset) + SECRET + b"y" * 100)
    path.chmod(0o640)
    assert redact_file(path, Masker())
    assert path.read_bytes() == b"x" * (64 + offset) + b"***" + b"y" * 100
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_file_without_secrets_is_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"nothing here")
    before = path.stat()
    assert not redact_file(path, Masker())
    assert path.stat().st_ino == before.st_ino


def test_a_link_or_a_pipe_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(SECRET)
    (tmp_path / "link").symlink_to(outside)
    os.mkfifo(tmp_path / "pipe")
    assert not redact_file(tmp_path / "link", Masker())
    assert not redact_file(tmp_path / "pipe", Masker())
    assert outside.read_bytes() == SECRET


def test_values_of_json_are_masked_and_stay_json() -> None:
    assert redact_json({"a": ["my hunter22"], "hunter22": 1}, Masker()) == {"a": ["my ***"], "***": 1}
    untouched = {"a": 1}
    assert redact_json(untouched, Masker()) is untouched


def test_what_is_no_json_any_more_after_masking_is_kept_as_text() -> None:
    class Numbers:
        def redact(self, data: bytes) -> bytes:
            return data.replace(b"12345678", b"***")

    assert redact_json({"pin": 12345678}, Numbers()) == '{"pin":***}'
