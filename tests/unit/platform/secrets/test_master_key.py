from __future__ import annotations

import base64
import stat
import sys
from pathlib import Path

import pytest

from runstead.kernel.secret import Secret
from runstead.platform.secrets import MasterKeyError
from runstead.platform.secrets.master_key import master_keys, write_key_file

KEY = bytes(range(32))
OTHER = b"\xfb\xff" * 16
SALT = b"salt" * 4


def test_the_first_start_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    (key,) = master_keys(tmp_path / "data")
    file = tmp_path / "data" / "master-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert master_keys(tmp_path / "data") == [key]
    assert len(key) == 32
    assert [one.name for one in file.parent.iterdir()] == ["master-key"]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    master_keys(tmp_path)
    (tmp_path / "master-key").chmod(0o644)
    with pytest.raises(MasterKeyError, match="chmod 600"):
        master_keys(tmp_path)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (base64.b64encode(KEY).decode(), [KEY]),
        (base64.b64encode(OTHER).decode(), [OTHER]),
        (base64.urlsafe_b64encode(OTHER).decode(), [OTHER]),
        (base64.urlsafe_b64encode(KEY).decode().rstrip("="), [KEY]),
        (KEY.hex(), [KEY]),
        (KEY.hex() + "\n", [KEY]),
        (f"{OTHER.hex()}\n\n {KEY.hex()}\n", [OTHER, KEY]),
    ],
)
def test_the_environment_gives_keys_in_base64_or_hex(tmp_path: Path, text: str, keys: list[bytes]) -> None:
    assert master_keys(tmp_path, given=Secret(text)) == keys
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "short",
        "x" * 43 + "!",
        KEY.hex()[:-2],
        base64.b64encode(KEY + b"x").decode(),
        "ü" * 44,
        "passphrase:short",
        f"{KEY.hex()}\nbroken",
    ],
)
def test_any_other_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(MasterKeyError) as refused:
        master_keys(tmp_path, given=Secret(text), salt=SALT)
    assert text not in str(refused.value)
    assert "RUNSTEAD_MASTER_KEY" in str(refused.value)


def test_there_is_at_least_one_key_and_at_most_ten(tmp_path: Path) -> None:
    for text in ("\n", "\n".join([KEY.hex()] * 11)):
        with pytest.raises(MasterKeyError, match="1 to 10"):
            master_keys(tmp_path, given=Secret(text))


def test_a_passphrase_makes_the_same_key_with_the_same_salt_only(tmp_path: Path) -> None:
    given = Secret("passphrase:correct horse battery")
    (key,) = master_keys(tmp_path, given=given, salt=SALT)
    assert master_keys(tmp_path, given=given, salt=SALT) == [key]
    assert master_keys(tmp_path, given=given, salt=b"other salt 16 by") != [key]


def test_a_command_prints_the_key(tmp_path: Path) -> None:
    assert master_keys(tmp_path, command=["echo", KEY.hex()]) == [KEY]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/no/such/program"], "cannot be run"),
        ([sys.executable, "-c", "import sys; print('hush'); sys.exit(3)"], "ended with 3"),
        (["echo", "hush"], "32 bytes"),
        (["true"], "0 keys"),
    ],
)
def test_a_command_that_gives_none_is_named_and_not_quoted(
    tmp_path: Path, command: list[str], words: str
) -> None:
    with pytest.raises(MasterKeyError, match=words) as refused:
        master_keys(tmp_path, command=command)
    assert "key_command" in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_key_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "master-key").write_text("abc")
    (tmp_path / "master-key").chmod(0o600)
    with pytest.raises(MasterKeyError, match="master-key"):
        master_keys(tmp_path)


def test_two_servers_that_start_at_once_have_the_same_key(tmp_path: Path) -> None:
    write_key_file(tmp_path / "master-key", [KEY], replace=False)
    write_key_file(tmp_path / "master-key", [OTHER], replace=False)
    assert master_keys(tmp_path) == [KEY]
    write_key_file(tmp_path / "master-key", [OTHER, KEY])
    assert master_keys(tmp_path) == [OTHER, KEY]
