"""The route table: exact segments before parameters before a wildcard, segment by segment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from runstead.capabilities.apps.errors import RouteConflictError

T = TypeVar("T")

#: Segments of a path; more is nobody's route.
SEGMENTS_MAX: Final = 32
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
    if re.search(r"[\s?#\\\x00-\x1f]", path):
        raise ValueError(f"the path {path!r} holds a character that no path has")
    texts = path[1:].split("/") if path != "/" else []
    if len(texts) > SEGMENTS_MAX:
        raise ValueError(f"the path {path!r} has more than {SEGMENTS_MAX} segments")
    segments: list[str] = []
    names: list[str] = []
    for position, text in enumerate(texts):
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

    def match(self, method: str, path: str) -> Match[T] | OtherMethods | None:
        """The best route; what else the path knows; or None. ``HEAD`` is served by ``GET``."""
        segments = path[1:].split("/") if path != "/" else []
        if len(segments) > SEGMENTS_MAX * 2:
            return None
        others: set[str] = set()
        found = self._find(self._root, segments, 0, [], method, others)
        if found is None and method == "HEAD":
            found = self._find(self._root, segments, 0, [], "GET", others)
        if found is not None:
            entry, values = found
            return Match(entry, dict(zip(entry.names, values, strict=True)))
        if not others:
            return None
        if "GET" in others:
            others.add("HEAD")
        return OtherMethods(tuple(sorted(others)))

    def _find(
        self, node: _Node[T], segments: list[str], at: int, values: list[str], method: str, others: set[str]
    ) -> tuple[Entry[T], list[str]] | None:
        if at == len(segments):
            others.update(node.ends)
            if (entry := node.ends.get(method)) is not None:
                return entry, values
        else:
            if (child := node.exact.get(segments[at])) is not None and (
                found := self._find(child, segments, at + 1, values, method, others)
            ):
                return found
            if (
                node.parameter is not None
                and segments[at]
                and (
                    found := self._find(
                        node.parameter, segments, at + 1, [*values, segments[at]], method, others
                    )
                )
            ):
                return found
        others.update(node.rest)
        if (entry := node.rest.get(method)) is not None:
            return entry, [*values, "/".join(segments[at:])]
        return None
