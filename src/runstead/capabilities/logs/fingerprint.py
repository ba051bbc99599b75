"""Telling events apart, and together.

The exact fingerprint names one message from one source with one stack. The group forgets what differs from case to
case (numbers, identifiers, addresses, dates, quoted values), so that "user 17 not found" and "user 18 not found" are
one issue. The version of the algorithm is stored with each group: a better one never regroups what is there.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

#: Goes into every group. Raise it when :func:`normalise` gives another result for any message.
GROUP_VERSION: Final = 1

#: What is normalised; a message without end must not cost without end.
_CHARS_MAX: Final = 1024

#: Within one word; the specific before the general. Placeholders are in angle brackets, which no pattern matches, and
#: every pattern ends where a word ends, so that nothing comes to match only because what stood beside it was
#: replaced.
_PATTERNS: Final = {
    "email": r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}(?!\w)",
    "url": r"\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>()\[\]{}]+",
    "ip": r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}\b(?!\.\d)(?::\d{1,5}\b)?"
    r"|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![\w:])"
    r"|(?<![\w:])(?=[0-9a-fA-F:]*\d)(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}(?![\w:])",
    "traceparent": r"\b00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\b",
    "uuid": r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
    "date": r"\b\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z\b|[+-]\d{2}:?\d{2}\b)?)?(?!\w)"
    r"|\b\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?Z?(?!\w)",
    "duration": r"(?<![\w.-])\d+(?:\.\d+)?(?:ns|us|µs|ms|s|min|m|h|d)\b",
    "hex": r"\b0[xX][0-9a-fA-F]+\b"
    r"|\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,128}\b"
    r"|\b(?=[0-9A-F]*\d)(?=[0-9A-F]*[A-F])[0-9A-F]{8,128}\b",
    "float": r"(?:(?<![\w-])-)?(?<![\w.])\d+\.\d+(?:[eE][+-]?\d+)?\b(?!\.\d)",
    "int": r"(?:(?<![\w-])-)?(?<![\w.])\d+\b",
    "bool": r"(?<==)(?:true|false|True|False)\b",
}
_combined = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _PATTERNS.items()))

#: A value in quotes may hold spaces, so it is replaced before the words are parted.
_quoted = re.compile(r"""="[^"]*"|='[^']*'""")

#: Without any of these no pattern matches, and looking for one of them is much cheaper.
_suspicious = re.compile(r"[\d@=]|://").search


def fingerprint(message: str, source: str, stack: str) -> str:
    """SHA-1 of message, source and stack, one after the other: 40 hex digits."""
    # A name for equal events, and the one that clients of the wire format compute as well; nothing is protected by
    # it.
    return hashlib.sha1((message + source + stack).encode(), usedforsecurity=False).hexdigest()


def group(message: str) -> str:
    """The group of a message: 40 hex digits, other ones for every GROUP_VERSION."""
    text = f"{GROUP_VERSION}\0{normalise(message)}"
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def normalise(message: str) -> str:
    """The message without what differs from case to case. Doing it twice changes nothing more."""
    text = message[:_CHARS_MAX]
    if '="' in text or "='" in text:
        text = _quoted.sub("=<str>", text)
    # The two plain cases first: most words are one of them, and patterns are slow.
    normal = " ".join(
        [
            word
            if word.isalpha()
            else "<int>"
            if word.isdecimal()
            else _combined.sub(_placeholder, word)
            if _suspicious(word)
            else word
            for word in text.split()
        ]
    )
    return normal if len(normal) <= _CHARS_MAX else _shortened(normal)


def _shortened(normal: str) -> str:
    """Cut where nothing new can come to match."""
    cut = normal[:_CHARS_MAX]
    return cut[: cut.rfind(" ")] if " " in cut else "<long>"


def _placeholder(match: re.Match[str]) -> str:
    return f"<{match.lastgroup}>"
