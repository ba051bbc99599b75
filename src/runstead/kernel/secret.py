"""Values that must never be printed."""

from __future__ import annotations

import hmac
from typing import Final

MASK: Final = "***"


class Secret:
    """Text that prints as ``***``; only the place of use opens it, by :meth:`reveal`.

    It cannot be pickled, compared by ``==`` to text, or formatted by accident. Use :meth:`matches` to compare.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value in clear. Call it where the value is used, nowhere else."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Compare in constant time; an empty secret matches nothing."""
        return bool(self._value) and hmac.compare_digest(self._value.encode(), candidate.encode())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret does not leave the process")
