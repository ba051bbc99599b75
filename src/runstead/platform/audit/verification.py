"""Walking the chain to see whether it is whole."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from runstead.platform.audit.chain import GENESIS, Stored, link, seal

#: Number, hash, seal.
Mark = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk found."""

    whole: bool
    entries: int
    #: The number of the first entry that is not as it was written.
    broken_at: int | None = None
    reason: str = ""


class Walk:
    """Takes the entries one after the other, oldest first; says at the end whether all is as it was written.

    Found: an entry that was changed, removed, put in between or moved; entries cut off at the end; a beginning that was cut off
    other than by retention. Not found: the whole database replaced by an older copy of itself, for that copy is true.
    """

    def __init__(self, key: bytes, *, checkpoint: Mark | None) -> None:
        self._key = key
        self._count = 0
        self._seq, self._hash = (checkpoint[0], checkpoint[1]) if checkpoint else (0, GENESIS)
        self.broken: Verdict | None = None
        if checkpoint and not _fits(key, "checkpoint", checkpoint):
            self.broken = Verdict(
                False, 0, checkpoint[0], "the mark where the chain begins was made by somebody else"
            )

    def feed(self, stored: Iterable[Stored]) -> bool:
        """Look at some more; False when there is no point in going on."""
        for one in stored:
            if self.broken:
                return False
            self._count += 1
            expected = self._seq + 1
            if one.seq != expected:
                self.broken = Verdict(False, self._count, expected, f"entry {expected} is missing")
            elif not hmac.compare_digest(link(self._key, self._hash, one.seq, one.entry), one.hash):
                self.broken = Verdict(
                    False, self._count, one.seq, f"entry {one.seq} is not as it was written"
                )
            self._seq, self._hash = one.seq, one.hash
        return self.broken is None

    def end(self, head: Mark | None) -> Verdict:
        """The verdict.

        :param head: where the chain should end.
        """
        if self.broken:
            return self.broken
        if head is None:
            if self._seq == 0:
                return Verdict(True, 0)
            return Verdict(False, self._count, self._seq, "the mark of the end is missing")
        if not _fits(self._key, "head", head):
            return Verdict(False, self._count, head[0], "the mark of the end was made by somebody else")
        if (self._seq, self._hash) != head[:2]:
            return Verdict(
                False, self._count, self._seq + 1, f"entries {self._seq + 1} to {head[0]} are missing"
            )
        return Verdict(True, self._count)


def _fits(key: bytes, purpose: str, mark: Mark) -> bool:
    return hmac.compare_digest(seal(key, purpose, mark[0], mark[1]), mark[2])


def verify_all(
    key: bytes, stored: Iterable[Stored], *, head: Mark | None, checkpoint: Mark | None = None
) -> Verdict:
    """Verify entries that are in memory."""
    walk = Walk(key, checkpoint=checkpoint)
    walk.feed(stored)
    return walk.end(head)
