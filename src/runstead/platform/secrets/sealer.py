"""AES-256-GCM (NIST SP 800-38D) under one key.

A sealed value is ``version (1 byte) | nonce (12) | ciphertext and tag``. The nonce is random: with 2^32 values under
one key, two of them meet with a probability of 2^-32, far more than this server will ever seal.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Final

from runstead.kernel.errors import RunsteadError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12


class SealBrokenError(RunsteadError):
    """A sealed value was changed, or sealed with another master key."""

    code = "E_SEAL_BROKEN"


class AesGcmSealer:
    """Seals and opens small values."""

    def __init__(self, key: bytes) -> None:
        """Take the key.

        :param key: KEY_BYTES bytes.
        :raises ValueError: for any other length.
        """
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        self._key = key

    @functools.cached_property
    def id(self) -> str:
        """Tells keys apart and says nothing about them."""
        return self.derive(b"id").hex()[:8]

    @functools.cached_property
    def _cipher(self) -> AESGCM:
        # Loaded at the first use: 7 MB that a server without projects of its own does not need.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key)

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for something else: HKDF-SHA256 (RFC 5869), expanded once; the master key cannot be told from it."""
        return hmac.new(self._key, b"runstead " + purpose + b"\x01", hashlib.sha256).digest()

    def seal(self, clear: bytes, context: bytes = b"") -> bytes:
        """Encrypt. Two calls with the same value give different results.

        :param context: what the value belongs to; it opens only with the same, so that values cannot be exchanged.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, clear, _VERSION + context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Decrypt.

        :raises SealBrokenError: it was not sealed by this key, for this context, or by this code.
        """
        version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if version != _VERSION:
            raise SealBrokenError("this value was not sealed by this version")
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(nonce, ciphertext, version + context)
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError(
                "this value was sealed with another master key, or changed since"
            ) from error
