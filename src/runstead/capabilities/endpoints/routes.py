"""Which endpoint a method and a path belong to: path templates and a table of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

#: Segments of a declared path; deeper ones are refused so that matching stays bounded.
SEGMENTS_MAX = 16
PATH_CHARS_MAX = 200

_LITERAL = re.compile(r"[A-Za-z0-9._~@:+-]+")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A parsed path. A segment is either literal text or, when ``names`` has its index, a parameter."""

    text: str
    segments: tuple[str, ...]
    #: Index of the segment -> name of the parameter.
    names: Mapping[int, str]

    @property
    def shape(self) -> str:
        """What two templates share when they match the same paths: ``/users/{}``."""
        return "/" + "/".join("{}" if i in self.names else s for i, s in enumerate(self.segments))

    @classmethod
    def parse(cls, text: str) -> PathTemplate:
        """Read ``/users/{id}/mail``.

        :raises ValueError: telling what is wrong and what is allowed.
        """
        if not text.startswith("/"):
            raise ValueError(f"found {text!r}, allowed: an absolute path, such as /users/{{id}}")
        if len(text) > PATH_CHARS_MAX:
            raise ValueError(f"found {len(text)} characters, allowed: at most {PATH_CHARS_MAX}")
        segments = tuple(text[1:].split("/")) if text != "/" else ()
        if len(segments) > SEGMENTS_MAX:
            raise ValueError(f"found {len(segments)} segments, allowed: at most {SEGMENTS_MAX}")
        names: dict[int, str] = {}
        for index, segment in enumerate(segments):
            if parameter := _PARAMETER.fullmatch(segment):
                if parameter[1] in names.values():
                    raise ValueError(f"found the parameter {segment} twice, allowed: once")
                names[index] = parameter[1]
            elif segment in ("", ".", "..") or not _LITERAL.fullmatch(segment):
                raise ValueError(
                    f"found the segment {segment!r}, allowed: letters, digits and . _ ~ @ : + -, or one {{parameter}}"
                )
        return cls(text, segments, names)


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """An endpoint serves this method and path; ``params`` are the path's, as text."""

    target: T
    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MethodMismatch:
    """The path is one of ours, the method is not. ``allowed`` is what belongs into the Allow header."""

    allowed: tuple[str, ...]


@dataclass(slots=True)
class _Node(Generic[T]):
    literals: dict[str, _Node[T]] = field(default_factory=dict)
    parameter: _Node[T] | None = None
    #: Method -> the template that ends here and its target.
    ends: dict[str, tuple[PathTemplate, T]] = field(default_factory=dict)


class RouteTable(Generic[T]):
    """An immutable tree of segments. A literal segment wins over a parameter, from left to right."""

    def __init__(self, routes: Iterable[tuple[str, PathTemplate, T]]) -> None:
        self._root: _Node[T] = _Node()
        for method, template, target in routes:
            node = self._root
            for index, segment in enumerate(template.segments):
                if index in template.names:
                    node.parameter = node.parameter or _Node()
                    node = node.parameter
                else:
                    node = node.literals.setdefault(segment, _Node())
            if method in node.ends:
                raise ValueError(f"{method} {template.text} is declared twice")
            node.ends[method] = (template, target)

    def match(self, method: str, path: str) -> Found[T] | MethodMismatch | None:
        """Look a request up. An empty segment never fills a parameter."""
        if not path.startswith("/"):
            return None
        segments = path[1:].split("/") if path != "/" else []
        if len(segments) > SEGMENTS_MAX:
            return None
        allowed: set[str] = set()
        for ends in self._walk(self._root, segments, 0):
            if hit := ends.get(method):
                template, target = hit
                return Found(target, {name: segments[i] for i, name in template.names.items()})
            allowed.update(ends)
        return MethodMismatch(tuple(sorted(allowed))) if allowed else None

    def _walk(
        self, node: _Node[T], segments: list[str], depth: int
    ) -> Iterator[dict[str, tuple[PathTemplate, T]]]:
        if depth == len(segments):
            if node.ends:
                yield node.ends
            return
        if literal := node.literals.get(segments[depth]):
            yield from self._walk(literal, segments, depth + 1)
        if node.parameter is not None and segments[depth]:
            yield from self._walk(node.parameter, segments, depth + 1)
