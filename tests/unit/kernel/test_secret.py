from __future__ import annotations

import copy
import pickle

import pytest

from runstead.kernel.secret import MASK, Secret


def test_no_way_of_printing_shows_the_value() -> None:
    secret = Secret("hunter2hunter2")
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{secret:>20}",
        f"{secret}",
        repr([secret]),
    ]
    assert all("hunter2" not in text and MASK in text for text in shown)


def test_it_does_not_leave_the_process() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("x"))
    with pytest.raises(TypeError):
        copy.copy(Secret("x"))


def test_it_matches_only_itself() -> None:
    assert Secret("correct").matches("correct")
    assert not Secret("correct").matches("Correct")
    assert Secret("pässword").matches("pässword")


def test_an_empty_secret_matches_nothing() -> None:
    assert not Secret("").matches("")
    assert not Secret("")


def test_reveal_opens_it() -> None:
    assert Secret("value").reveal() == "value"
    assert len(Secret("value")) == 5
