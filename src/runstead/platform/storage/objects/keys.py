"""The names of objects."""

from __future__ import annotations

import re
from typing import Final

from runstead.kernel.errors import BadRequestError

#: Characters of a key. S3 takes 1 024 bytes, and a bucket prefix comes on top.
KEY_CHARS_MAX: Final = 900

#: Characters between two slashes: the longest file name of every common file system.
SEGMENT_CHARS_MAX: Final = 255

# Safe in a URL, a shell and on every file system, and sent to S3 as it is. No part begins with a dot: that keeps out
# "..", and leaves such names to the drivers for what is not an object.
_SEGMENT = re.compile(r"[A-Za-z0-9_=@+,-][A-Za-z0-9._=@+,-]*")


class ObjectKeyError(BadRequestError):
    """That is no key of an object."""

    code = "E_OBJECT_KEY"


def check_key(key: str) -> str:
    """The key itself.

    :raises ObjectKeyError: when it could not be stored everywhere, or would lead out of the store.
    """
    if not 0 < len(key) <= KEY_CHARS_MAX:
        raise ObjectKeyError(f"a key has 1 to {KEY_CHARS_MAX} characters")
    for segment in key.split("/"):
        if len(segment) > SEGMENT_CHARS_MAX:
            raise ObjectKeyError(f"no part of a key is longer than {SEGMENT_CHARS_MAX} characters")
        if _SEGMENT.fullmatch(segment) is None:
            raise ObjectKeyError(
                "a key is made of parts joined by single slashes; a part holds letters, digits and ._=@+,- "
                "and does not begin with a dot"
            )
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself: empty, or the beginning of a key, up to any character.

    :raises ObjectKeyError: when no key could begin with it.
    """
    if prefix:
        check_key(prefix + "x" if prefix.endswith("/") else prefix)
    return prefix
