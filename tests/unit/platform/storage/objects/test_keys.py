from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.storage.objects import ObjectKeyError, check_key, check_prefix
from runstead.platform.storage.objects.keys import KEY_CHARS_MAX, SEGMENT_CHARS_MAX

TRICKY = st.text(alphabet="ab./\\\x00\n ~%:*?é", max_size=12) | st.text(max_size=20)


def accepted(key: str) -> bool:
    try:
        check_key(key)
    except ObjectKeyError:
        return False
    return True


@given(TRICKY)
def test_whatever_is_accepted_stays_below_the_root_and_keeps_its_name(key: str) -> None:
    if accepted(key):
        path = os.path.normpath(f"/store/{key}")
        assert path == f"/store/{key}"
        assert Path(path).is_relative_to("/store")
        assert not any(part.startswith(".") for part in key.split("/"))
        assert key.isascii()
        assert key.isprintable()


@given(TRICKY)
def test_every_beginning_of_a_key_is_a_prefix(key: str) -> None:
    if accepted(key):
        for end in range(len(key) + 1):
            assert check_prefix(key[:end]) == key[:end]


def test_the_maxima_are_what_they_say() -> None:
    assert accepted("x" * SEGMENT_CHARS_MAX)
    assert not accepted("x" * (SEGMENT_CHARS_MAX + 1))
    longest = ("x" * 99 + "/") * (KEY_CHARS_MAX // 100 - 1) + "x" * 100
    assert len(longest) == KEY_CHARS_MAX
    assert accepted(longest)
    assert not accepted(f"{longest}y"[:KEY_CHARS_MAX] + "y")


def test_the_keys_of_records_are_keys() -> None:
    assert accepted(
        "prefix/v1/org=a.b/project=c_d/service=e-f/date=2026-01-31/"
        "run=0192f0c1-7b1a-7000-8000-000000000000/payload.json"
    )
