"""What is wrong with a configuration, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend.

    ``file`` is the path as the user would type it, the name of an environment variable, or ``flag``. ``line`` and
    ``column`` count from 1; both are 0 where there is no text to point into.
    """

    file: str
    line: int
    column: int
    #: As in ``endpoints[1].timeout_ms``; empty when the file as a whole is meant.
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        named = self.field and self.field != self.file
        return f"{place}: {self.field}: {self.message}" if named else f"{place}: {self.message}"


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` is never empty and names all that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


#: Comparing takes the square of the length, and nobody mistypes that much.
SUGGEST_CHARS_MAX: Final = 100


def suggest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'port'?``, or nothing when no known name is near."""
    import difflib

    if len(name) > SUGGEST_CHARS_MAX:
        return ""
    names = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    # Abbreviations are not alike enough for that: production, prod.
    near += [other for other in names if len(other) > 2 and name.lower().startswith(other)]
    return f"; did you mean {names[near[0]]!r}?" if near else ""
