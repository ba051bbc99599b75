"""Passwords that are known from breaches: looked up in a file on this machine, so that no password leaves it.

The file holds SHA-1 hashes in hex, one a line and sorted, as the published list of Have I Been Pwned does
(``HASH:COUNT``, 38 GB): a binary search reads some 40 lines of it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO, Final

LINE_BYTES_MAX: Final = 128


def is_breached(file: Path, password: str) -> bool:
    """Whether the password stands in the file. Blocking.

    :raises OSError: the file cannot be read.
    """
    # SHA-1 is what the list is made of; it protects nothing here.
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    with file.open("rb") as lines:
        low, high = 0, os.fstat(lines.fileno()).st_size
        while low < high:
            middle = (low + high) // 2
            found = _hash_at(lines, middle)
            if not found or found >= wanted:
                high = middle
            else:
                low = middle + 1
        return _hash_at(lines, low) == wanted


def _hash_at(lines: BinaryIO, place: int) -> bytes:
    """The hash of the first line that begins at this place or behind it; empty at the end."""
    lines.seek(max(0, place - 1))
    if place:
        lines.readline(LINE_BYTES_MAX)
    return lines.readline(LINE_BYTES_MAX)[:40].upper()
