"""Secrets at rest: sealed with the master key, opened only where they are used."""

from runstead.platform.secrets.sealer import (
    MASTER_KEY_BYTES,
    AesGcmSealer,
    MasterKeyError,
    SealBrokenError,
    open_sealer,
)

__all__ = ["MASTER_KEY_BYTES", "AesGcmSealer", "MasterKeyError", "SealBrokenError", "open_sealer"]
