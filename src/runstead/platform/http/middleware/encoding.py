"""Choosing a content coding and applying it piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

#: By the server's taste: what it takes for granted when the client likes several equally.
PREFERENCE: Final = ("zstd", "br", "gzip")

#: Levels where time and size meet for text of a few kilobytes, made while somebody waits.
_ZSTD_LEVEL: Final = 3
_BROTLI_QUALITY: Final = 4
_GZIP_LEVEL: Final = 5

#: 2^18 bytes. The default of 2^22 costs several megabytes for each answer that is being made.
_BROTLI_WINDOW_BITS: Final = 18


class Encoder(Protocol):
    """Compresses one body."""

    def piece(self, data: bytes) -> bytes:
        """Compress, and hold nothing back: the client must be able to read up to here."""
        ...

    def last(self, data: bytes) -> bytes:
        """Compress the rest and finish."""
        ...


class _Gzip:
    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)

    def piece(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def last(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush()


class _Brotli:
    def __init__(self) -> None:
        import brotli

        self._compressor: Any = brotli.Compressor(quality=_BROTLI_QUALITY, lgwin=_BROTLI_WINDOW_BITS)

    def piece(self, data: bytes) -> bytes:
        compressed: bytes = self._compressor.process(data) + self._compressor.flush()
        return compressed

    def last(self, data: bytes) -> bytes:
        compressed: bytes = self._compressor.process(data) + self._compressor.finish()
        return compressed


class _Zstd:
    def __init__(self) -> None:
        import zstandard

        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
        self._flush_block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def piece(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(self._flush_block)

    def last(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush()


ENCODERS: Final[Mapping[str, Callable[[], Encoder]]] = {"zstd": _Zstd, "br": _Brotli, "gzip": _Gzip}


@lru_cache(maxsize=256)
def choose_encoding(accept_encoding: bytes) -> str | None:
    """The best coding that the client takes (RFC 9110 section 12.5.3), None for none.

    A coding with ``q=0`` is refused; ``*`` stands for those that are not named; identity wins only when it has the higher
    weight.
    """
    weights: dict[str, float] = {}
    for item in accept_encoding.decode("latin-1").split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if not name:
            continue
        weight = _weight(parameters)
        weights["gzip" if name == "x-gzip" else name] = weight
    rest = weights.get("*", 0.0)
    best = max(PREFERENCE, key=lambda name: (weights.get(name, rest), -PREFERENCE.index(name)))
    weight = weights.get(best, rest)
    if weight <= 0 or weight < weights.get("identity", 0.0):
        return None
    return best


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0 <= weight <= 1 else 0.0
    return 1.0
