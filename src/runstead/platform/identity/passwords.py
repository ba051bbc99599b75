"""Passwords: Argon2id with the parameters of RFC 9106 section 4, second recommendation, and how hard they are to guess."""

from __future__ import annotations

import asyncio
import unicodedata
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runstead.platform.identity.breached import is_breached
from runstead.platform.identity.errors import WeakPasswordError
from runstead.platform.identity.model import PASSWORD_CHARS_MAX

if TYPE_CHECKING:
    from argon2 import PasswordHasher

PASSWORD_CHARS_MIN: Final = 10

#: Of 0 to 4 (zxcvbn): from 3 on it takes more than 10^8 guesses.
SCORE_MIN: Final = 3

#: The estimate takes time that grows with the square of the length; what is longer is judged by its beginning.
_JUDGED_CHARS_MAX: Final = 72

#: Hashes computed at once: each takes 64 MiB and a core for some 50 ms.
_AT_ONCE_MAX: Final = 2


class Passwords:
    """Hashes and checks passwords, a few at a time, off the event loop.

    An unknown name costs the same time as a wrong password: then a hash of nobody's is checked.
    """

    def __init__(self, hasher: PasswordHasher | None = None, *, breached: Path | None = None) -> None:
        """Build it.

        :param hasher: with other parameters than the recommended ones.
        :param breached: see :func:`~runstead.platform.identity.breached.is_breached`.
        """
        self._breached = breached
        self._given = hasher
        self._turn = asyncio.Semaphore(_AT_ONCE_MAX)

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher, profiles

        return self._given or PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("the password of nobody")

    async def hash(self, password: str) -> str:
        """A hash in the PHC string format."""
        async with self._turn:
            return await asyncio.to_thread(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Whether the password is the one that was hashed; for None it takes as long and is False."""
        async with self._turn:
            return await asyncio.to_thread(self._verify, _normal(password), stored)

    def is_outdated(self, stored: str) -> bool:
        """Whether it was hashed with weaker parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, password: str, stored: str | None) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError

        try:
            self._hasher.verify(stored or self._nobodys, password)
        except (Argon2Error, InvalidHashError):
            return False
        return stored is not None

    async def insist_on_strength(self, password: str, *known: str) -> None:
        """Refuse what is guessed easily.

        :param known: what a guesser tries first: the name, the mail address.
        :raises WeakPasswordError: says what would make it better.
        """
        if len(password) > PASSWORD_CHARS_MAX:
            raise WeakPasswordError(f"A password has {PASSWORD_CHARS_MAX} characters at most.")
        if self._breached is not None and await asyncio.to_thread(is_breached, self._breached, password):
            raise WeakPasswordError("This password is known from a breach: others try it.")
        if len(password) < PASSWORD_CHARS_MIN:
            raise WeakPasswordError(f"A password has {PASSWORD_CHARS_MIN} characters or more.")
        async with self._turn:
            score, advice = await asyncio.to_thread(_judge, password, [one for one in known if one])
        if score < SCORE_MIN:
            raise WeakPasswordError(
                " ".join(["This password is too easy to guess.", *advice]), details={"score": score}
            )


def _normal(password: str) -> str:
    """Keyboards differ in how they send the same letter (RFC 8265 section 4.2.2 asks for NFC; NFKC joins more of them)."""
    return unicodedata.normalize("NFKC", password)


def _judge(password: str, known: list[str]) -> tuple[int, list[str]]:
    from zxcvbn import zxcvbn  # type: ignore[import-untyped]

    result = zxcvbn(password[:_JUDGED_CHARS_MAX], user_inputs=known)
    feedback = result["feedback"]
    advice = [text.rstrip(".") + "." for text in [feedback["warning"], *feedback["suggestions"]] if text]
    return int(result["score"]), advice
