"""``runstead jobs logs --follow`` shows each line once, also those that the server passes over for somebody slow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runstead.capabilities.jobs.cli import follow_job
from runstead.platform.cli import Client


def line(seq: int) -> dict[str, Any]:
    return {"seq": seq, "line": f"line {seq}", "is_error": False}


class Log:
    """A client of a server that has these lines in its log, and streams what it is told to."""

    def __init__(self, kept: range, *events: tuple[str, dict[str, Any]]) -> None:
        self._kept = kept
        self._events = events

    def stream(self, _path: str, **_wanted: Any) -> Iterator[SimpleNamespace]:
        for name, data in (*self._events, ("end", {"exit_code": 0})):
            yield SimpleNamespace(event=name, data=json.dumps(data).encode())

    def get(self, _path: str, **asked: Any) -> dict[str, Any]:
        found = [seq for seq in self._kept if seq >= asked["from"]][:2]
        more = found[-1] + 1 if found and found[-1] + 1 in self._kept else None
        return {"lines": [line(seq) for seq in found], "next_from": more}


@pytest.mark.parametrize(
    ("log", "wanted", "shown", "told"),
    [
        (
            Log(range(1, 20), ("line", line(1)), ("missed", {"missed": 5}), ("line", line(7))),
            {},
            range(1, 8),
            "",
        ),
        (Log(range(1, 20), ("missed", {"missed": 3}), ("line", line(4))), {}, range(1, 5), ""),
        (Log(range(4, 20), ("missed", {"missed": 3}), ("line", line(4))), {}, range(4, 5), "... 3 lines"),
        (Log(range(5, 20), ("missed", {"missed": 6}), ("line", line(7))), {}, range(5, 8), "... 4 lines"),
        (Log(range(1, 20), ("missed", {"missed": 3}), ("line", line(9))), {"tail": 4}, range(9, 10), "... 3"),
        (Log(range(1, 20), ("missed", {"missed": 2}), ("line", line(9))), {"from": 7}, range(7, 10), ""),
    ],
    ids=[
        "in the middle",
        "at the beginning",
        "what is gone",
        "what is gone in part",
        "of an unknown place",
        "from a line",
    ],
)
def test_what_is_passed_over_is_fetched(
    capsys: pytest.CaptureFixture[str], log: Log, wanted: dict[str, Any], shown: range, told: str
) -> None:
    assert follow_job(cast("Client", log), "job", **wanted) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"line {seq}" for seq in shown]
    assert printed.err.startswith(told)
    assert bool(printed.err) == bool(told)
