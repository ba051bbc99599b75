"""Where a value is within a document or the whole configuration: ``("endpoints", 1, "timeout_ms")``."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

#: Names of tables and fields, and indices of lists.
KeyPath: TypeAlias = tuple[str | int, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_$-]+")
_STEP: Final = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")


def dotted(path: KeyPath) -> str:
    """Write a path as people do: ``endpoints[1].timeout_ms``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if _BARE.fullmatch(step) else f".{step!r}"
    return text.removeprefix(".")


def parse_dotted(text: str) -> KeyPath:
    """Read what a validation hook or a flag calls a field. The inverse of :func:`dotted` for bare names."""
    return tuple(int(index) if index else name for index, name in _STEP.findall(text))
