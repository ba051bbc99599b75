"""AES-256-GCM (NIST SP 800-38D) under one master key.

A sealed value is ``version (1 byte) | nonce (12) | ciphertext and tag``. The nonce is random: with 2^32 values under
one key, two of them meet with a probability of 2^-32, far more than this server will ever seal.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import hashlib
import hmac
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runstead.kernel.errors import RunsteadError
from runstead.kernel.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MASTER_KEY_BYTES: Final = 32

#: The name of the key file in the data folder.
KEY_FILE: Final = "master-key"

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12


class MasterKeyError(RunsteadError):
    """The master key cannot be used."""

    code = "E_MASTER_KEY"


class SealBrokenError(RunsteadError):
    """A sealed value was changed, or sealed with another master key."""

    code = "E_SEAL_BROKEN"


class AesGcmSealer:
    """Seals and opens small values."""

    def __init__(self, key: bytes) -> None:
        """Take the key.

        :param key: MASTER_KEY_BYTES bytes.
        :raises MasterKeyError: for any other length.
        """
        if len(key) != MASTER_KEY_BYTES:
            raise MasterKeyError(f"the master key has {len(key)} bytes, it needs {MASTER_KEY_BYTES}")
        self._key = key

    @functools.cached_property
    def _cipher(self) -> AESGCM:
        # Loaded at the first use: 7 MB that a server without projects of its own does not need.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key)

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for something else: HKDF-SHA256 (RFC 5869), expanded once; the master key cannot be told from it."""
        return hmac.new(self._key, b"runstead " + purpose + b"\x01", hashlib.sha256).digest()

    def seal(self, clear: bytes) -> bytes:
        """Encrypt. Two calls with the same value give different results."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, clear, _VERSION)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt.

        :raises SealBrokenError: it was not sealed by this key, or not by this code.
        """
        version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if version != _VERSION:
            raise SealBrokenError("this value was not sealed by this version")
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(nonce, ciphertext, version)
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError(
                "this value was sealed with another master key, or changed since"
            ) from error


def open_sealer(data_dir: Path, master_key: Secret | None = None) -> AesGcmSealer:
    """The sealer of this server. Blocking; called once, at the start.

    The key is ``master_key`` (RUNSTEAD_MASTER_KEY: 32 bytes in base64 or hex), else the file ``master-key`` in the
    data folder, which is made at the first start.

    :raises MasterKeyError: the key has another length or form, or others may read its file.
    """
    if master_key:
        return AesGcmSealer(_decode(master_key.reveal(), "RUNSTEAD_MASTER_KEY"))
    path = data_dir / KEY_FILE
    if not path.exists():
        _create(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise MasterKeyError(f"{path} may be read by others: chmod 600 {path}")
    return AesGcmSealer(_decode(path.read_text("ascii", "replace"), str(path)))


def _decode(text: str, where: str) -> bytes:
    text = text.strip()
    with contextlib.suppress(ValueError):
        if len(key := bytes.fromhex(text)) == MASTER_KEY_BYTES:
            return key
    with contextlib.suppress(ValueError, binascii.Error):
        padded = text + "=" * (-len(text) % 4)
        if len(key := base64.b64decode(padded, altchars=b"-_", validate=True)) == MASTER_KEY_BYTES:
            return key
    with contextlib.suppress(ValueError, binascii.Error):
        if len(key := base64.b64decode(text, validate=True)) == MASTER_KEY_BYTES:
            return key
    raise MasterKeyError(
        f"{where}: a master key is {MASTER_KEY_BYTES} bytes in base64 or hex, as `openssl rand -base64 32` prints them"
    )


def _create(path: Path) -> None:
    """Make the key file whole or not at all, and make it last: without it every sealed value is lost."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(os.urandom(MASTER_KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link, unlike a rename, does not replace the key of a server that was started at the same moment.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
