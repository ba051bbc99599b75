from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.kernel.secret import Secret
from runstead.platform.secrets import AesGcmSealer, MasterKeyError, SealBrokenError, open_sealer

KEY = bytes(range(32))


@given(st.binary(max_size=200))
def test_what_was_sealed_opens_again_and_is_not_there_in_clear(clear: bytes) -> None:
    sealer = AesGcmSealer(KEY)
    sealed = sealer.seal(clear)
    assert sealer.open(sealed) == clear
    assert len(clear) < 4 or clear not in sealed
    assert sealer.seal(clear) != sealed


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


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SealBrokenError):
        AesGcmSealer(bytes(32)).open(AesGcmSealer(KEY).seal(b"x"))


def test_the_first_start_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    sealed = open_sealer(tmp_path / "data").seal(b"x")
    file = tmp_path / "data" / "master-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert open_sealer(tmp_path / "data").open(sealed) == b"x"
    assert [one.name for one in file.parent.iterdir()] == ["master-key"]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    open_sealer(tmp_path)
    (tmp_path / "master-key").chmod(0o644)
    with pytest.raises(MasterKeyError, match="chmod 600"):
        open_sealer(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(KEY).decode(),
        base64.b64encode(b"\xfb\xff" * 16).decode(),
        base64.urlsafe_b64encode(b"\xfb\xff" * 16).decode(),
        base64.urlsafe_b64encode(KEY).decode().rstrip("="),
        KEY.hex(),
        KEY.hex() + "\n",
    ],
)
def test_the_environment_gives_the_key_in_base64_or_hex(tmp_path: Path, text: str) -> None:
    sealer = open_sealer(tmp_path, Secret(text))
    assert sealer.open(sealer.seal(b"x")) == b"x"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["short", "x" * 43 + "!", KEY.hex()[:-2], base64.b64encode(KEY + b"x").decode(), "ü" * 44]
)
def test_any_other_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(MasterKeyError) as refused:
        open_sealer(tmp_path, Secret(text))
    assert text not in str(refused.value)


def test_a_key_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "master-key").write_text("abc")
    (tmp_path / "master-key").chmod(0o600)
    with pytest.raises(MasterKeyError, match="master-key"):
        open_sealer(tmp_path)
