from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runstead.capabilities.logs.window import WINDOW_SECONDS, SlidingWindow

#: Quarters of a second, so that sums are exact.
STEPS = st.lists(st.tuples(st.integers(0, 120).map(lambda n: n / 4), st.integers(1, 6)), max_size=80)


@given(STEPS, st.integers(1, 20))
def test_no_window_ever_holds_more_than_the_limit_and_nothing_is_refused_without_need(
    steps: list[tuple[float, int]], limit: int
) -> None:
    window = SlidingWindow()
    admitted: list[tuple[float, int]] = []
    now = 0.0
    for pause, cost in steps:
        now += pause
        inside = sum(c for at, c in admitted if at > now - WINDOW_SECONDS)
        usage = window.admit("k", cost, limit, now)
        assert usage.admitted == (inside + cost <= limit)
        if usage.admitted:
            admitted.append((now, cost))
        assert usage.used == sum(c for at, c in admitted if at > now - WINDOW_SECONDS) <= limit
        assert usage.remaining == limit - usage.used


@given(STEPS, st.integers(1, 20), st.integers(1, 20))
def test_what_is_told_to_come_back_later_is_let_in_then_and_not_before(
    steps: list[tuple[float, int]], limit: int, cost: int
) -> None:
    window, now = SlidingWindow(), 0.0
    for pause, size in steps:
        now += pause
        window.admit("k", size, limit, now)
    refused = window.admit("k", cost, limit, now)
    if refused.admitted or cost > limit:
        return
    assert 0 < refused.retry_seconds <= WINDOW_SECONDS
    assert not window.admit("k", cost, limit, now + refused.retry_seconds - 0.125).admitted
    assert window.admit("k", cost, limit, now + refused.retry_seconds).admitted


def test_the_reset_is_when_the_last_of_it_leaves() -> None:
    window = SlidingWindow()
    window.admit("k", 1, 5, 0)
    assert window.admit("k", 1, 5, 10).reset_seconds == 60
    assert window.admit("k", 9, 5, 30).reset_seconds == 40
    assert window.admit("k", 0, 5, 70).reset_seconds == 0


def test_keys_do_not_share() -> None:
    window = SlidingWindow()
    assert window.admit("a", 5, 5, 0).admitted
    assert window.admit("b", 5, 5, 0).admitted
    assert not window.admit("a", 1, 5, 0).admitted


def test_a_lower_limit_holds_at_once_and_remaining_is_never_negative() -> None:
    window = SlidingWindow()
    window.admit("k", 10, 10, 0)
    usage = window.admit("k", 1, 5, 1)
    assert not usage.admitted
    assert usage.remaining == 0


@given(st.lists(st.integers(0, 50), max_size=200))
def test_so_many_keys_are_remembered_and_no_more(keys: list[int]) -> None:
    window = SlidingWindow(keys_max=10)
    for now, key in enumerate(keys):
        window.admit(key, 1, 1000, now / 10)
        assert len(window) <= 10


def test_idle_keys_are_forgotten() -> None:
    window = SlidingWindow()
    window.admit("old", 1, 5, 0)
    window.admit("new", 1, 5, 50)
    assert window.forget_idle(60) == 1
    assert len(window) == 1
    assert not window.admit("new", 5, 5, 60).admitted
