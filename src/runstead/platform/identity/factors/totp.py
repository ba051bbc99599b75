"""Time-based one-time codes (RFC 6238): 6 digits, 30 seconds, SHA-1, as every authenticator app knows them."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Final

STEP_SECONDS: Final = 30
#: Clocks of telephones are off by as much: one code before and one after the present one.
STEPS_AROUND: Final = 1


def new_secret() -> str:
    """160 random bits in base32."""
    import pyotp

    return pyotp.random_base32()


def uri_of(secret: str, *, name: str, issuer: str) -> str:
    """What a QR code shows (``otpauth://``)."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The number of the step whose code this is; None: of none near now. Takes the same time whichever it is."""
    import pyotp

    totp = pyotp.TOTP(secret)
    present = int(now.timestamp()) // STEP_SECONDS
    found = None
    for step in range(present - STEPS_AROUND, present + STEPS_AROUND + 1):
        if hmac.compare_digest(totp.at(step * STEP_SECONDS).encode(), code.encode()):
            found = step
    return found
