"""The configuration before it has types: layers laid over one another, each value remembering where it came from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from runstead.platform.config.documents import Document
from runstead.platform.config.keypath import KeyPath, dotted
from runstead.platform.config.problems import Problem


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: at a path of a document, or at a fixed place (a variable, a line of ``.env``, a flag)."""

    file: str
    line: int = 0
    column: int = 0
    document: Document | None = None
    path: KeyPath = ()

    def child(self, step: str | int) -> Origin:
        """The origin of what is inside."""
        if self.document is None:
            return self
        return Origin(self.file, document=self.document, path=(*self.path, step))

    def place(self) -> tuple[str, int, int]:
        """File, line, column; line and column are 0 where there is no text."""
        if self.document is None:
            return self.file, self.line, self.column
        return (self.file, *self.document.position(self.path))

    def __str__(self) -> str:
        file, line, column = self.place()
        return f"{file}:{line}:{column}" if line else file


class Tree:
    """The merged values. Tables merge key by key, arrays of tables by the ``name`` of the items, all else is replaced."""

    def __init__(self, *, arrays: Collection[str] = ()) -> None:
        """Begin with nothing.

        :param arrays: the sections that are arrays of tables.
        """
        self.values: dict[str, Any] = {}
        self.origins: dict[KeyPath, Origin] = {}
        self._arrays = arrays

    def lay(self, path: KeyPath, value: Any, origin: Origin) -> None:
        """Put a value, or a table of them, over what is there."""
        if not path:
            for key, inner in value.items():
                self.lay((key,), inner, origin.child(key))
            return
        holder: Any = self.values
        for depth, step in enumerate(path[:-1], 1):
            if holder.get(step) is None:
                holder[step] = {}
                self.origins.setdefault(path[:depth], origin)
            holder = holder[step]
            if not isinstance(holder, dict):
                return  # A table was expected here: that is the problem to tell, and this would hide it.
        self._put(holder, path, value, origin)

    def origin(self, path: KeyPath) -> Origin:
        """Where a value came from; for what is missing, the origin of the nearest table around it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path, Origin("defaults"))

    def problem(self, path: KeyPath, message: str, *, at: KeyPath | None = None) -> Problem:
        """A problem with the field at ``path``, blamed on where ``at`` (default: the same) was written."""
        file, line, column = self.origin(path if at is None else at).place()
        return Problem(file=file, line=line, column=column, field=dotted(path), message=message)

    def _put(self, holder: Any, path: KeyPath, value: Any, origin: Origin) -> None:
        step = path[-1]
        present = holder.get(step) if isinstance(holder, dict) else None
        if isinstance(value, dict) and isinstance(present, dict):
            for key, inner in value.items():
                self._put(present, (*path, key), inner, origin.child(key))
        elif (
            isinstance(value, list)
            and isinstance(present, list)
            and path[0] in self._arrays
            and len(path) == 1
        ):
            self._merge_items(present, path, value, origin)
        else:
            if present is not None:
                self._forget(path)
            holder[step] = self._copy(path, value, origin)

    def _merge_items(self, present: list[Any], path: KeyPath, items: list[Any], origin: Origin) -> None:
        """An item with the name of an earlier one changes it; any other is appended."""
        named = {item["name"]: index for index, item in enumerate(present) if _has_name(item)}
        for position, item in enumerate(items):
            index = named.get(item["name"]) if _has_name(item) else None
            if index is None:
                at = (*path, len(present))
                present.append(self._copy(at, item, origin.child(position)))
            else:
                for key, inner in item.items():
                    self._put(present[index], (*path, index, key), inner, origin.child(position).child(key))

    def _copy(self, path: KeyPath, value: Any, origin: Origin) -> Any:
        self.origins[path] = origin
        if isinstance(value, dict):
            return {key: self._copy((*path, key), inner, origin.child(key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._copy((*path, index), item, origin.child(index)) for index, item in enumerate(value)]
        return value

    def _forget(self, path: KeyPath) -> None:
        for inside in [known for known in self.origins if known[: len(path)] == path]:
            del self.origins[inside]


def _has_name(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("name"), str)
