from __future__ import annotations

import re
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.limits import windows as module
from runstead.platform.limits.settings import parse_rate
from runstead.platform.limits.windows import MemoryWindows


@given(
    amount=st.integers(1, 5),
    seconds=st.integers(1, 10),
    steps=st.lists(st.floats(0, 4, allow_nan=False), max_size=60),
)
async def test_no_stretch_of_the_length_of_the_window_holds_more(
    amount: int, seconds: int, steps: list[float]
) -> None:
    now = 1000.0
    windows = MemoryWindows(lambda: now)
    taken: deque[float] = deque()
    for step in steps:
        now += step
        inside = [at for at in taken if at > now - seconds]
        result = await windows.take("key", amount, seconds)
        assert result.allowed == (len(inside) < amount)
        if result.allowed:
            taken.append(now)
            inside.append(now)
        assert result.remaining == amount - len(inside)
        if result.remaining:
            assert result.retry_after == 0
        else:
            # A moment later there is room, and not a moment before.
            assert result.retry_after == pytest.approx(inside[-amount] + seconds - now)
        assert result.reset_after == pytest.approx(inside[-1] + seconds - now)


async def test_keys_are_apart_and_of_too_many_the_oldest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEYS_MAX", 3)
    windows = MemoryWindows(lambda: 0.0)
    for key in "abc":
        assert (await windows.take(key, 1, 60)).allowed
    assert not (await windows.take("a", 1, 60)).allowed
    assert (await windows.take("d", 1, 60)).allowed
    assert len(windows) == 3
    assert not (await windows.take("a", 1, 60)).allowed, "it asked lately"
    assert (await windows.take("b", 1, 60)).allowed, "it was forgotten"


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/second", (1, 1)),
        ("100/minute", (100, 60)),
        ("20 / 5 seconds", (20, 5)),
        ("1000/hour", (1000, 3600)),
        (" 5/1day ", (5, 86_400)),
    ],
)
def test_rates_are_read(text: str, rate: tuple[int, int]) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text",
    ["", "5", "0/minute", "-1/minute", "5/fortnight", "5/0 seconds", "5/2 days", "200000/day", "5/minute\n5"],
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse_rate(text)
