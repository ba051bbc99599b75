from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.identity import lockout as module
from runstead.platform.identity.lockout import Lockout, origin_of


def guess(lockout: Lockout, address: str, now: float) -> bool:
    """One wrong guess; whether it was tried."""
    if lockout.locked_for(address, now):
        return False
    lockout.failed(address, now)
    return True


@given(attempts=st.integers(1, 20), guesses=st.integers(1, 200))
def test_of_guesses_at_one_moment_no_more_than_the_attempts_are_tried(attempts: int, guesses: int) -> None:
    lockout = Lockout(attempts=attempts)
    tried = sum(guess(lockout, "10.0.0.1", 100.0) for _ in range(guesses))
    assert tried == min(attempts, guesses)


@given(failures=st.integers(1, 1500), attempts=st.integers(1, 8))
def test_the_lock_doubles_from_the_first_to_the_longest(failures: int, attempts: int) -> None:
    lockout, now, locks = Lockout(attempts=attempts, first_seconds=1, longest_seconds=900), 0.0, []
    for _ in range(failures):
        lock = lockout.failed("10.0.0.1", now)
        locks.append(lock)
        assert lockout.locked_for("10.0.0.1", now) == lock
        now += lock
        assert lockout.locked_for("10.0.0.1", now) == 0
    assert locks[: attempts - 1] == [0.0] * min(failures, attempts - 1)
    expected = [min(2.0**i, 900.0) for i in range(max(0, failures - attempts + 1)) if i < 1000]
    assert locks[attempts - 1 :][:1000] == expected[:1000]


@given(pauses=st.lists(st.floats(0, 2000, allow_nan=False), min_size=1, max_size=60))
def test_whatever_the_pauses_a_guesser_never_gets_more_than_the_rate_of_the_locks(
    pauses: list[float],
) -> None:
    lockout, now, tried = Lockout(attempts=5), 0.0, []
    for pause in pauses:
        now += pause
        if guess(lockout, "10.0.0.1", now):
            tried.append(now)
    for start in tried:
        # Within any second after a lock began to be possible: the attempts of one fresh count, no more.
        assert sum(start <= moment < start + 1 for moment in tried) <= 5


def test_a_success_resets_the_count() -> None:
    lockout = Lockout(attempts=3)
    lockout.failed("a", 0)
    lockout.failed("a", 0)
    lockout.succeeded("a")
    assert lockout.failed("a", 0) == 0
    assert lockout.failed("a", 0) == 0
    assert lockout.failed("a", 0) == 1


def test_addresses_are_counted_apart() -> None:
    lockout = Lockout(attempts=1)
    lockout.failed("10.0.0.1", 0)
    assert lockout.locked_for("10.0.0.1", 0) == 1
    assert lockout.locked_for("10.0.0.2", 0) == 0


def test_a_count_is_forgotten_one_longest_lock_after_its_end() -> None:
    lockout = Lockout(attempts=1, longest_seconds=900)
    lockout.failed("a", 0)
    assert lockout.failed("a", 900) == 2
    assert lockout.failed("a", 900 + 2 + 900) == 1


def test_one_ipv6_host_cannot_guess_from_its_many_addresses() -> None:
    assert origin_of("2001:db8:1:2::1") == origin_of("2001:db8:1:2:ffff::9")
    assert origin_of("2001:db8:1:2::1") != origin_of("2001:db8:1:3::1")
    assert origin_of("::ffff:10.0.0.1") == origin_of("10.0.0.1")
    assert origin_of("fe80::1%eth0") == origin_of("fe80::2")
    assert origin_of("unknown") == "unknown"


def test_the_memory_is_bounded_and_forgets_who_failed_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ADDRESSES_MAX", 3)
    lockout = Lockout(attempts=1)
    for i in range(4):
        lockout.failed(f"10.0.0.{i}", i)
    assert len(lockout) == 3
    assert lockout.locked_for("10.0.0.0", 0) == 0
    assert lockout.locked_for("10.0.0.3", 3) == 1
