from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.endpoints.model import RunStatus
from runstead.capabilities.endpoints.outcome import STDERR_TAIL_BYTES, judge, stderr_tail
from runstead.capabilities.endpoints.settings import EndpointSettings

SETTINGS = EndpointSettings(name="a", path="/a", script_path="a", timeout_ms=5, max_output_bytes=7)


@dataclass
class End:
    code: int | None = 0
    signal: str | None = None
    limit: str | None = None


@pytest.mark.parametrize(
    ("end", "stdout", "code", "status", "details"),
    [
        (End(None, "SIGKILL", "wall"), b"{}", "E_SCRIPT_TIMEOUT", 504, {"timeout_ms": 5}),
        (End(None, "SIGKILL", "output"), b"{}", "E_SCRIPT_LIMIT", 502, {"limit": "output", "allowed": 7}),
        (End(None, "SIGXCPU", "cpu"), b"{}", "E_SCRIPT_LIMIT", 502, {"limit": "cpu", "allowed": 60}),
        (End(None, "SIGSEGV"), b"{}", "E_SCRIPT_EXIT", 502, {"signal": "SIGSEGV"}),
        (End(3), b"{}", "E_SCRIPT_EXIT", 502, {"exit_code": 3}),
        (
            End(0),
            b"oops",
            "E_SCRIPT_OUTPUT",
            502,
            {"reason": "JSON is malformed: invalid character (byte 0)"},
        ),
    ],
)
def test_every_bad_end_has_its_code_and_says_why(
    end: End, stdout: bytes, code: str, status: int, details: dict[str, Any]
) -> None:
    verdict = judge(end, stdout, b"trace", SETTINGS)
    assert verdict.error is not None
    assert (verdict.code, verdict.error.status) == (code, status)
    assert verdict.error.details == {**details, "stderr": "trace"}
    assert verdict.answer is None


def test_a_good_end_is_an_answer() -> None:
    verdict = judge(End(), b'{"results": [1]}', b"", SETTINGS)
    assert (verdict.status, verdict.answer, verdict.code) == (RunStatus.SUCCEEDED, {"results": [1]}, None)


@pytest.mark.req("EP-004")
@given(text=st.text(st.characters(codec="utf-8"), max_size=40), size=st.integers(1, 40))
def test_the_tail_of_stderr_is_its_end_and_begins_with_a_whole_character(text: str, size: int) -> None:
    tail = stderr_tail(text.encode(), size)
    assert text.endswith(tail)
    assert size - 3 <= len(tail.encode()) <= size or tail == text


@given(stderr=st.binary(max_size=40))
def test_the_tail_of_anything_is_text(stderr: bytes) -> None:
    assert len(stderr_tail(stderr, 8)) <= 8


def test_the_tail_is_four_kib() -> None:
    assert len(stderr_tail(b"x" * 10_000)) == STDERR_TAIL_BYTES == 4096
