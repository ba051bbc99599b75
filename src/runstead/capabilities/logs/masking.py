"""Senders write what they like: what this server knows to be a secret is masked before it is stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from runstead.capabilities.logs.model import NewEvent
from runstead.capabilities.logs.ports import Masker

_TEXTS: Final = ("message", "source", "env", "fingerprint", "group", "request_id", "user_id", "tags")


def masked(event: NewEvent, masker: Masker) -> NewEvent:
    """The event without secrets; the same object when it holds none."""
    changes: dict[str, Any] = {
        name: masker.scrub_text(value) for name in _TEXTS if masker.matches(value := getattr(event, name))
    }
    if masker.matches(event.context):
        # Not as text: a mask in the place of a number would be no JSON.
        changes["context"] = msgspec.json.encode(masker.scrub(msgspec.json.decode(event.context))).decode()
    return replace(event, **changes) if changes else event
