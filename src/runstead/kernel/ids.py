"""Identifiers that sort by time: UUIDv7 (RFC 9562 section 5.7) and ULID (github.com/ulid/spec)."""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from collections.abc import Callable

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_COUNTER_BITS = 12
_COUNTER_MAX = (1 << _COUNTER_BITS) - 1


class IdSource:
    """Makes identifiers that grow strictly within one process, also within one millisecond and when the clock steps back.

    The 12 bits of ``rand_a`` hold a counter (RFC 9562 section 6.2, method 1); when it is exhausted the
    millisecond is advanced instead of waiting. Thread-safe.
    """

    def __init__(
        self,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._now_ms = now_ms
        self._random = random
        self._lock = threading.Lock()
        self._last = (0, _COUNTER_MAX)

    def _tick(self) -> tuple[int, int]:
        with self._lock:
            now, (last_ms, counter) = self._now_ms(), self._last
            if now > last_ms:
                # Starting in the lower half leaves room for 2 048 more within this millisecond.
                self._last = (now, int.from_bytes(self._random(2), "big") & (_COUNTER_MAX >> 1))
            elif counter < _COUNTER_MAX:
                self._last = (last_ms, counter + 1)
            else:
                self._last = (last_ms + 1, 0)
            return self._last

    def uuid7(self) -> str:
        """A new UUIDv7 in its canonical lower-case form."""
        milliseconds, counter = self._tick()
        tail = int.from_bytes(self._random(8), "big") & ((1 << 62) - 1)
        value = (milliseconds << 80) | (0x7 << 76) | (counter << 64) | (0b10 << 62) | tail
        return str(uuid.UUID(int=value))

    def ulid(self) -> str:
        """A new ULID: 26 characters of Crockford's base 32, upper case."""
        milliseconds, counter = self._tick()
        value = (
            (milliseconds << 80)
            | (counter << 68)
            | (int.from_bytes(self._random(9), "big") & ((1 << 68) - 1))
        )
        return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


_source = IdSource()


def new_id() -> str:
    """A UUIDv7 from the process-wide source."""
    return _source.uuid7()


def new_ulid() -> str:
    """A ULID from the process-wide source."""
    return _source.ulid()


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in its canonical lower-case form."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def is_ulid(text: str) -> bool:
    """Whether the text is a canonical ULID."""
    return _ULID.fullmatch(text) is not None
