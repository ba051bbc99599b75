"""Signatures of requests: HMAC-SHA256 (RFC 2104) of the raw body, or of ``timestamp.body``."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final

from runstead.kernel.secret import Secret

#: Seconds that a signed timestamp may be away from our clock, in either direction.
TIMESTAMP_SECONDS_MAX: Final = 300

_KEY_PREFIX: Final = "rk_"
_SECRET_PREFIX: Final = "rs_"  # noqa: S105 - the part that everyone may know
#: 192 bits.
_RANDOM_BYTES: Final = 24

_PREFIX: Final = "sha256="
_seconds = re.compile(r"\d{1,17}(?:\.\d{1,9})?", re.ASCII).fullmatch
_hex = re.compile("[0-9a-f]{64}").fullmatch

#: From here on a number of seconds would be a date beyond the year 5000, so it is one of milliseconds.
_MILLISECONDS_MIN: Final = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Signed:
    """What the headers of a request say."""

    signature: str
    #: Empty when there is none: then the body alone is signed.
    timestamp: str = ""


def new_project_key() -> Secret:
    """A key that names a project to senders."""
    return Secret(_KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES))


def new_hmac_secret() -> Secret:
    """A secret to sign with."""
    return Secret(_SECRET_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES))


def hash_key(project_key: str) -> str:
    """What is stored of a project key. It is random and long, so that one round of SHA-256 is enough."""
    return hashlib.sha256(project_key.encode("utf-8", "surrogateescape")).hexdigest()


def sign(secret: Secret, body: bytes, timestamp: str = "") -> str:
    """The signature, in hex."""
    mac = hmac.new(secret.reveal().encode(), digestmod=hashlib.sha256)
    if timestamp:
        mac.update(timestamp.encode("utf-8", "surrogateescape") + b".")
    mac.update(body)
    return mac.hexdigest()


def verify(secret: Secret, signed: Signed, body: bytes, *, now_seconds: float) -> bool:
    """Whether the holder of the secret signed this body, and recently if it says when.

    Takes the same time whatever is wrong.
    """
    expected = sign(secret, body, signed.timestamp)
    given = signed.signature.strip().lower().removeprefix(_PREFIX)
    well_formed = _hex(given) is not None
    matches = hmac.compare_digest(expected, given if well_formed else "0" * 64)
    recent = not signed.timestamp or _is_recent(signed.timestamp, now_seconds)
    return matches & well_formed & recent


def _is_recent(timestamp: str, now_seconds: float) -> bool:
    if _seconds(timestamp) is None:
        return False
    seconds = float(timestamp)
    if seconds >= _MILLISECONDS_MIN:
        seconds /= 1000
    return abs(now_seconds - seconds) <= TIMESTAMP_SECONDS_MAX
