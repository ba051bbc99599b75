"""Where the master keys come from: the environment, a command, or a file in the data folder.

Each of the three gives one key a line. The first one seals; the others only open what was sealed before a change. A key is 32
bytes in base64 or hex, or ``passphrase:TEXT``, from which Argon2id (RFC 9106) makes one.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from runstead.kernel.errors import RunsteadError
from runstead.kernel.secret import Secret

MASTER_KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
#: The name of the key file in the data folder.
KEY_FILE: Final = "master-key"
VARIABLE: Final = "RUNSTEAD_MASTER_KEY"
COMMAND_SECONDS_MAX: Final = 30.0
KEYS_MAX: Final = 10

_PASSPHRASE: Final = "passphrase:"  # noqa: S105 - what a passphrase begins with
_PASSPHRASE_CHARS_MIN: Final = 12
#: RFC 9106, section 4, the second recommended choice: 64 MiB, three passes.
_ARGON2_PASSES, _ARGON2_KIB, _ARGON2_LANES = 3, 64 * 1024, 4


class MasterKeyError(RunsteadError):
    """The master key cannot be used."""

    code = "E_MASTER_KEY"


def master_keys(
    data_dir: Path, *, given: Secret | None = None, command: Sequence[str] = (), salt: bytes = b""
) -> list[bytes]:
    """The keys, the one that seals first. Blocking; the file is made when nothing else gives a key.

    :param given: the variable's value.
    :param command: prints the keys, as a key management service's client does.
    :raises MasterKeyError: a key has another length or form, others may read its file, or the command fails.
    """
    if given:
        return _parse(given.reveal(), VARIABLE, salt)
    if command:
        return _parse(_printed_by(command), "secrets.key_command", salt)
    path = data_dir / KEY_FILE
    if not path.exists():
        write_key_file(path, [os.urandom(MASTER_KEY_BYTES)], replace=False)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise MasterKeyError(f"{path} may be read by others: chmod 600 {path}")
    return _parse(path.read_text("ascii", "replace"), str(path), salt)


def write_key_file(path: Path, keys: Sequence[bytes], *, replace: bool = True) -> None:
    """Write the file whole or not at all, and make it last: without it every sealed value is lost."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(base64.b64encode(key) + b"\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            # A link, unlike a rename, does not replace the key of a server that was started at the same moment.
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _printed_by(command: Sequence[str]) -> str:
    name = "secrets.key_command"
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=COMMAND_SECONDS_MAX, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise MasterKeyError(f"{name}: {command[0]} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise MasterKeyError(f"{name}: no answer within {COMMAND_SECONDS_MAX:.0f} s") from error
    if done.returncode:
        # What it says may be about the key: it is not shown.
        raise MasterKeyError(f"{name}: {command[0]} ended with {done.returncode}; run it by hand to see why")
    return done.stdout.decode("ascii", "replace")


def _parse(text: str, where: str, salt: bytes) -> list[bytes]:
    lines = [line for each in text.splitlines() if (line := each.strip())]
    if not 1 <= len(lines) <= KEYS_MAX:
        raise MasterKeyError(f"{where}: {len(lines)} keys; allowed: 1 to {KEYS_MAX}, one a line")
    return [_key(line, where, salt) for line in lines]


def _key(line: str, where: str, salt: bytes) -> bytes:
    if line.startswith(_PASSPHRASE):
        return _derived(line.removeprefix(_PASSPHRASE), where, salt)
    with contextlib.suppress(ValueError):
        if len(key := bytes.fromhex(line)) == MASTER_KEY_BYTES:
            return key
    for altchars in (b"-_", None):
        with contextlib.suppress(ValueError, binascii.Error):
            padded = line + "=" * (-len(line) % 4)
            if len(key := base64.b64decode(padded, altchars=altchars, validate=True)) == MASTER_KEY_BYTES:
                return key
    raise MasterKeyError(
        f"{where}: a master key is {MASTER_KEY_BYTES} bytes in base64 or hex, as `openssl rand -base64 32` prints them, "
        f"or {_PASSPHRASE} and a text"
    )


def _derived(passphrase: str, where: str, salt: bytes) -> bytes:
    from argon2.low_level import Type, hash_secret_raw

    if len(passphrase) < _PASSPHRASE_CHARS_MIN:
        raise MasterKeyError(f"{where}: a passphrase has {_PASSPHRASE_CHARS_MIN} characters or more")
    return hash_secret_raw(
        passphrase.encode(),
        salt,
        time_cost=_ARGON2_PASSES,
        memory_cost=_ARGON2_KIB,
        parallelism=_ARGON2_LANES,
        hash_len=MASTER_KEY_BYTES,
        type=Type.ID,
    )
