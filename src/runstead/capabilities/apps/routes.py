"""The route table: exact segments before parameters before a wildcard, segment by segment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar
from urllib.parse import unquote

from runstead.capabilities.apps.errors import RouteConflictError

T = TypeVar("T")

#: Characters of a pattern.
PATH_CHARS_MAX: Final = 512
#: Segments of a pattern.
SEGMENTS_MAX: Final = 32
#: Segments of a request's path; one with more is nobody's.
SEGMENTS_OF_REQUEST_MAX: Final = 128
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A registered route."""

    owner: str
    path: str
    target: T
    names: tuple[str, ...]


@dataclass(slots=True)
class _Node(Generic[T]):
    exact: dict[str, _Node[T]] = field(default_factory=dict)
    parameter: _Node[T] | None = None
    #: Method → route that ends here.
    ends: dict[str, Entry[T]] = field(default_factory=dict)
    #: Method → route that takes everything below here.
    rest: dict[str, Entry[T]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """A route that fits, and its parameters as they stand in the path."""

    entry: Entry[T]
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OtherMethods:
    """The path is known, the method is not; these are."""

    allowed: tuple[str, ...]


def parse_path(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Segments, with ``:`` for a parameter and ``*`` for a wildcard, and the names of the parameters.

    :raises ValueError: says what is wrong with the pattern.
    """
    if not path.startswith("/"):
        raise ValueError(f"the path {path!r} does not begin with a slash")
    if len(path) > PATH_CHARS_MAX:
        raise ValueError(f"the path {path[:64]!r}… has more than {PATH_CHARS_MAX} characters")
    if re.search(r"[\s?#%\\\x00-\x1f\x7f]", path):
        raise ValueError(f"the path {path!r} holds a character that no path has")
    texts = path[1:].split("/") if path != "/" else []
    if len(texts) > SEGMENTS_MAX:
        raise ValueError(f"the path {path!r} has more than {SEGMENTS_MAX} segments")
    segments: list[str] = []
    names: list[str] = []
    for position, text in enumerate(texts):
        if text in (".", "..") or (not text and position != len(texts) - 1):
            raise ValueError(f"the path {path!r} has the segment {text!r}, which no request has")
        kind, name = _segment(text)
        if kind == "*" and position != len(texts) - 1:
            raise ValueError(f"the wildcard in {path!r} is not at the end")
        if name is not None:
            if not _NAME.fullmatch(name) or name in names:
                raise ValueError(f"the parameter {name!r} in {path!r} is no name, or is there twice")
            names.append(name)
        segments.append(kind)
    return tuple(segments), tuple(names)


def _segment(text: str) -> tuple[str, str | None]:
    if text.startswith(":"):
        return ":", text[1:]
    if text.startswith("{") and text.endswith("}"):
        return ":", text[1:-1]
    if text.startswith("*"):
        return "*", text[1:] or "rest"
    return text, None


class RouteTable(Generic[T]):
    """Finds the route of a path. Built once and then only read; a change makes a new one."""

    def __init__(self, routes: Iterable[tuple[str, str, str, T]]) -> None:
        """:param routes: ``(owner, method, path, target)``.

        :raises RouteConflictError: two owners, or one owner twice, want the same method and shape of path.
        :raises ValueError: a path is malformed.
        """
        self._root: _Node[T] = _Node()
        self.entries: list[tuple[str, Entry[T]]] = []
        for owner, method, path, target in routes:
            segments, names = parse_path(path)
            self._add(method, segments, Entry(owner, path, target, names))

    def _add(self, method: str, segments: tuple[str, ...], entry: Entry[T]) -> None:
        node = self._root
        ends = node.ends
        for segment in segments:
            if segment == "*":
                ends = node.rest
                break
            if segment == ":":
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.exact.setdefault(segment, _Node())
            ends = node.ends
        if (other := ends.get(method)) is not None:
            raise RouteConflictError(
                f"{method} {entry.path} of {entry.owner} is taken by {method} {other.path} of {other.owner}",
                details={"method": method, "path": entry.path, "owner": entry.owner, "taken_by": other.owner},
            )
        ends[method] = entry
        self.entries.append((method, entry))

    def match(self, method: str, path: str, raw_path: bytes | None = None) -> Match[T] | OtherMethods | None:
        """The best route; what else the path knows; or None. ``HEAD`` is served by ``GET`` too.

        :param path: decoded.
        :param raw_path: as it was sent, if that is known: only there a slash inside a segment (``%2F``) is told from others.
        """
        segments = _segments_of(path, raw_path)
        if len(segments) > SEGMENTS_OF_REQUEST_MAX:
            return None
        walk: _Walk[T] = _Walk(segments, ("HEAD", "GET") if method == "HEAD" else (method,))
        if (found := walk.find(self._root, 0, ())) is not None:
            entry, values = found
            return Match(entry, dict(zip(entry.names, values, strict=True)))
        if not walk.others:
            return None
        if "GET" in walk.others:
            walk.others.add("HEAD")
        return OtherMethods(tuple(sorted(walk.others)))


def _segments_of(path: str, raw_path: bytes | None) -> list[str]:
    if raw_path is not None and b"%2f" in raw_path.lower():
        encoded = raw_path.partition(b"?")[0].decode("latin-1")
        return [unquote(segment) for segment in encoded[1:].split("/")]
    return path[1:].split("/") if path != "/" else []


class _Walk(Generic[T]):
    """One look-up: exact segments first, then parameters, then the wildcard that is nearest."""

    def __init__(self, segments: list[str], methods: tuple[str, ...]) -> None:
        self._segments = segments
        self._methods = methods
        #: Methods of routes whose path fits.
        self.others: set[str] = set()

    def find(
        self, node: _Node[T], at: int, values: tuple[str, ...]
    ) -> tuple[Entry[T], tuple[str, ...]] | None:
        if at == len(self._segments):
            if (entry := self._of(node.ends)) is not None:
                return entry, values
        else:
            segment = self._segments[at]
            child = node.exact.get(segment)
            if child is not None and (found := self.find(child, at + 1, values)):
                return found
            child = node.parameter
            if child is not None and segment and (found := self.find(child, at + 1, (*values, segment))):
                return found
        if (entry := self._of(node.rest)) is not None:
            return entry, (*values, "/".join(self._segments[at:]))
        return None

    def _of(self, ends: Mapping[str, Entry[T]]) -> Entry[T] | None:
        for method in self._methods:
            if (entry := ends.get(method)) is not None:
                return entry
        self.others.update(ends)
        return None
