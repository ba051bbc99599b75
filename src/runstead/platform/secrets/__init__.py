"""Secrets at rest: sealed under keys of their own, opened only where they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstead.kernel.lazy import lazily

if TYPE_CHECKING:
    from runstead.platform.secrets.keyring import Keyring
    from runstead.platform.secrets.master_key import MASTER_KEY_BYTES, MasterKeyError
    from runstead.platform.secrets.model import (
        REFERENCE,
        SERVER_SCOPE,
        SecretEntry,
        SecretExistsError,
        SecretExpiredError,
        SecretNotFoundError,
    )
    from runstead.platform.secrets.opening import MasterKeys, open_master_keys
    from runstead.platform.secrets.sealer import AesGcmSealer, SealBrokenError
    from runstead.platform.secrets.settings import SECTION, SecretsSettings
    from runstead.platform.secrets.tables import MIGRATIONS
    from runstead.platform.secrets.vault import Vault

__all__ = [
    "MASTER_KEY_BYTES",
    "MIGRATIONS",
    "REFERENCE",
    "SECTION",
    "SERVER_SCOPE",
    "AesGcmSealer",
    "Keyring",
    "MasterKeyError",
    "MasterKeys",
    "SealBrokenError",
    "SecretEntry",
    "SecretExistsError",
    "SecretExpiredError",
    "SecretNotFoundError",
    "SecretsSettings",
    "Vault",
    "open_master_keys",
]

if not TYPE_CHECKING:
    __getattr__ = lazily(
        __name__,
        {
            "keyring": ["Keyring"],
            "master_key": ["MASTER_KEY_BYTES", "MasterKeyError"],
            "model": [
                "REFERENCE",
                "SERVER_SCOPE",
                "SecretEntry",
                "SecretExistsError",
                "SecretExpiredError",
                "SecretNotFoundError",
            ],
            "opening": ["MasterKeys", "open_master_keys"],
            "sealer": ["AesGcmSealer", "SealBrokenError"],
            "settings": ["SECTION", "SecretsSettings"],
            "tables": ["MIGRATIONS"],
            "vault": ["Vault"],
        },
    )
