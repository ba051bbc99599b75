from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.kernel.ids import IdSource, is_ulid, is_uuid, new_id, new_ulid


def test_a_new_id_is_a_uuid_of_version_7_and_of_the_rfc_variant() -> None:
    value = uuid.UUID(new_id())
    assert value.version == 7
    assert value.variant == uuid.RFC_4122


def test_the_time_of_a_uuid7_is_in_its_first_48_bits() -> None:
    source = IdSource(now_ms=lambda: 0x0123456789AB)
    assert source.uuid7().replace("-", "").startswith("0123456789ab7")


@given(st.lists(st.integers(min_value=0, max_value=2**40), min_size=2, max_size=50))
def test_ids_grow_even_when_the_clock_jumps(clock_readings: list[int]) -> None:
    readings = iter(clock_readings)
    source = IdSource(now_ms=lambda: next(readings))
    made = [source.uuid7() for _ in clock_readings]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_grow_within_one_millisecond_past_the_counter() -> None:
    source = IdSource(now_ms=lambda: 1_000)
    made = [source.uuid7() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ulids_are_canonical_and_grow() -> None:
    source = IdSource(now_ms=lambda: 1_000)
    made = [source.ulid() for _ in range(1_000)]
    assert made == sorted(set(made))
    assert all(is_ulid(value) for value in made)
    assert is_ulid(new_ulid())


@pytest.mark.parametrize(
    "text", ["", "01ARZ3NDEKTSV4RRFFQ69G5FAI", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01arz3ndektsv4rrffq69g5fav"]
)
def test_what_is_no_ulid_is_refused(text: str) -> None:
    assert not is_ulid(text)


@pytest.mark.parametrize(
    "text", ["", "x", "0192F0C1-7B1A-7000-8000-000000000000", "{0192f0c1-7b1a-7000-8000-000000000000}"]
)
def test_what_is_no_canonical_uuid_is_refused(text: str) -> None:
    assert not is_uuid(text)
