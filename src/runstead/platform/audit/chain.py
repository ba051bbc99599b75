"""Entries and the chain that holds them together. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from runstead.platform.audit.actions import Outcome, Severity

#: The link before the first entry.
GENESIS: Final = "0" * 64

#: Bytes of the details as JSON; what is longer is cut to its keys.
DETAILS_BYTES_MAX: Final = 8192
TEXT_CHARS_MAX: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act: who did what to what, from where, and whether it worked."""

    at: str
    action: str
    outcome: Outcome
    severity: Severity
    actor: str
    resource: str = ""
    address: str = ""
    request_id: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An entry in its place in the chain."""

    seq: int
    entry: Entry
    hash: str

    def as_json(self) -> dict[str, Any]:
        return {"seq": self.seq, **self.entry.as_json(), "hash": self.hash}


def link(key: bytes, previous: str, seq: int, entry: Entry) -> str:
    """The hash of an entry: HMAC-SHA256 (RFC 2104) over the hash before it, its number and all that it says.

    With a key, so that whoever can write to the database, but has not the server's key, cannot make the chain anew.
    """
    facts = json.dumps(
        [previous, seq, entry.as_json()], sort_keys=True, separators=(",", ":"), ensure_ascii=True
    )
    return hmac.new(key, facts.encode(), hashlib.sha256).hexdigest()


def seal(key: bytes, purpose: str, seq: int, hash_: str) -> str:
    """What binds a place in the chain to a purpose: ``head`` for its end, ``checkpoint`` for where it begins after a removal."""
    return hmac.new(key, f"{purpose}:{seq}:{hash_}".encode(), hashlib.sha256).hexdigest()


def bounded(details: Mapping[str, Any] | None) -> dict[str, Any]:
    """Details that fit; they hold JSON values only."""
    kept = {key: value for key, value in (details or {}).items() if value is not None}
    if len(json.dumps(kept, default=str).encode()) > DETAILS_BYTES_MAX:
        return {"cut": sorted(key[:100] for key in kept)[:50]}
    as_read: dict[str, Any] = json.loads(json.dumps(kept, default=str))
    return as_read
