"""Codes for the day on which the telephone is lost: each works once."""

from __future__ import annotations

import base64
import secrets
from typing import Final

CODES: Final = 10
_BYTES: Final = 10


def new_codes() -> list[str]:
    """Ten codes of 80 random bits, in groups of four letters."""
    return [_grouped(base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()) for _ in range(CODES)]


def normal(code: str) -> str:
    """As it is hashed: people leave out hyphens and type capitals."""
    return code.replace("-", "").replace(" ", "").lower()


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
