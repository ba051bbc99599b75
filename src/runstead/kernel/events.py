"""What happened, as a value: written beside the act in one transaction, delivered after the commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact that others may react to. Delivery is at least once, so whoever handles it must be idempotent by ``id``."""

    #: UUIDv7.
    id: str
    #: Dotted, past tense: ``jobs.finished``.
    topic: str
    #: JSON-serialisable.
    payload: Mapping[str, Any]
