"""Envelope encryption: master keys wrap keys, keys seal values."""

from __future__ import annotations

from collections.abc import Sequence

from runstead.platform.secrets.sealer import AesGcmSealer, SealBrokenError


class Keyring:
    """The master keys. The first one wraps; the others unwrap what they wrapped before it was there."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """:param keys: one or more, of 32 bytes each."""
        self._sealers = [AesGcmSealer(key) for key in keys]

    @property
    def current(self) -> str:
        """The id of the key that wraps."""
        return self._sealers[0].id

    def wrap(self, key: bytes, context: str) -> tuple[str, bytes]:
        """:returns: the id of the master key, and the wrapped key."""
        return self.current, self._sealers[0].seal(key, context.encode())

    def unwrap(self, master: str, wrapped: bytes, context: str) -> bytes:
        """Undo :meth:`wrap`.

        :raises SealBrokenError: the master key of that id is not here, or the wrapped key was changed.
        """
        for sealer in self._sealers:
            if sealer.id == master:
                return sealer.open(wrapped, context.encode())
        raise SealBrokenError(
            f"this was sealed under the master key {master}, which is not here; put it back as a second line"
        )

    def derive(self, purpose: bytes) -> bytes:
        """A first key for a purpose. Keep it wrapped: another master key derives another one."""
        return self._sealers[0].derive(purpose)

    def lead(self, key: bytes) -> None:
        """From now on this key wraps."""
        self._sealers.insert(0, AesGcmSealer(key))

    def drop_others(self) -> None:
        """Forget all keys but the one that wraps."""
        del self._sealers[1:]
