from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.platform.secrets import AesGcmSealer, Keyring, SealBrokenError

KEY = bytes(range(32))


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_was_sealed_opens_again_and_is_not_there_in_clear(clear: bytes, context: bytes) -> None:
    sealer = AesGcmSealer(KEY)
    sealed = sealer.seal(clear, context)
    assert sealer.open(sealed, context) == clear
    assert len(clear) < 4 or clear not in sealed
    assert sealer.seal(clear, context) != sealed


@given(st.integers(0, 32), st.integers(1, 255))
def test_a_changed_byte_anywhere_breaks_the_seal(place: int, change: int) -> None:
    sealer = AesGcmSealer(KEY)
    sealed = bytearray(sealer.seal(b"four"))
    sealed[place] ^= change
    with pytest.raises(SealBrokenError):
        sealer.open(bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12), b"\x02" + bytes(40)])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SealBrokenError):
        AesGcmSealer(KEY).open(sealed)


def test_neither_another_key_nor_another_context_opens_it() -> None:
    sealed = AesGcmSealer(KEY).seal(b"x", b"here")
    with pytest.raises(SealBrokenError):
        AesGcmSealer(bytes(32)).open(sealed, b"here")
    with pytest.raises(SealBrokenError):
        AesGcmSealer(KEY).open(sealed, b"there")


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        AesGcmSealer(b"short")


def test_a_ring_unwraps_what_an_older_key_wrapped_until_that_is_dropped() -> None:
    ring = Keyring([KEY])
    old = ring.current
    wrapped = ring.wrap(b"k" * 32, "a")
    ring.lead(bytes(32))
    assert ring.current != old
    assert ring.unwrap(*wrapped, "a") == b"k" * 32
    with pytest.raises(SealBrokenError):
        ring.unwrap(*wrapped, "b")
    ring.drop_others()
    with pytest.raises(SealBrokenError, match=old):
        ring.unwrap(*wrapped, "a")
