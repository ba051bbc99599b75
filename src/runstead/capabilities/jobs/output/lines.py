"""Lines of output, and cutting bytes into them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from runstead.kernel.clock import rfc3339
from runstead.kernel.limits import KIB

#: A longer line is cut into pieces, so that output without line ends cannot fill the memory.
LINE_BYTES_MAX: Final = 64 * KIB

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Line:
    """One line (or piece of one) of output; nobody changes it.

    On disk it is ``<seq> <seconds since 1970> <o|e|O|E> <bytes>``: o for stdout, e for stderr, a capital letter where the program
    wrote no line end there (the piece was cut at LINE_BYTES_MAX, or the output ended). The bytes are the program's, ANSI escapes
    included.
    """

    #: From 1, without gaps, over stdout and stderr together.
    seq: int
    at: float
    is_error: bool
    data: bytes
    #: Whether a line end follows.
    ended: bool = True
    _event: bytes = field(default=b"", compare=False, repr=False)

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")

    def as_json(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": rfc3339(datetime.fromtimestamp(self.at, UTC)),
            "is_error": self.is_error,
            "line": self.text,
        }

    @property
    def json(self) -> bytes:
        """:meth:`as_json` as text."""
        return _encode(self.as_json())

    @property
    def event(self) -> bytes:
        """As a Server-Sent Event, made once for all who watch."""
        if not self._event:
            self._event = b"event: line\nid: %d\ndata: %b\n\n" % (self.seq, self.json)
        return self._event

    def encode(self) -> bytes:
        kind = b"e" if self.is_error else b"o"
        return b"%d %.6f %s %s\n" % (self.seq, self.at, kind if self.ended else kind.upper(), self.data)

    @classmethod
    def decode(cls, stored: bytes) -> Line:
        """:raises ValueError: for what :meth:`encode` did not write, such as the half line of a crash."""
        seq, at, kind, data = stored.removesuffix(b"\n").split(b" ", 3)
        if not stored.endswith(b"\n") or kind not in (b"o", b"e", b"O", b"E"):
            raise ValueError("not a stored line")
        return cls(int(seq), float(at), kind in b"eE", data, kind in b"oe")


@dataclass(frozen=True, slots=True)
class Missed:
    """A watcher was too slow, or asked too late: so many lines are not to be had any more."""

    lines: int


class Splitter:
    """Cuts one of the two streams into lines; keeps the rest until its line end comes."""

    def __init__(self, bytes_max: int = LINE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._rest = b""

    @property
    def held_back(self) -> int:
        """Bytes that have made no line yet."""
        return len(self._rest)

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bool]]:
        """Pairs of bytes and whether a line end follows."""
        *whole, rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            if len(line) <= self._bytes_max:
                yield line, True
                continue
            *pieces, last = self._cut(line)
            yield from ((piece, False) for piece in pieces)
            yield last, True
        *pieces, last = self._cut(rest)
        yield from ((piece, False) for piece in pieces)
        self._rest = last

    def close(self) -> Iterator[tuple[bytes, bool]]:
        """What stood without a line end when the output ended."""
        if self._rest:
            yield self._rest, False
            self._rest = b""

    def _cut(self, line: bytes) -> list[bytes]:
        return [line[at : at + self._bytes_max] for at in range(0, len(line), self._bytes_max)] or [b""]
