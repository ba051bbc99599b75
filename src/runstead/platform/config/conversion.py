"""From the merged tree to Structs: conversion, diagnosis where it fails, and the sections' own checks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from runstead.platform.config.diagnosis import Finding, diagnose
from runstead.platform.config.fieldtypes import convert
from runstead.platform.config.keypath import KeyPath, parse_dotted
from runstead.platform.config.problems import Problem
from runstead.platform.config.sections import SectionSpec
from runstead.platform.config.tree import Tree


def convert_sections(
    specs: Mapping[str, SectionSpec], tree: Tree, base_dir: Path
) -> tuple[dict[str, Any], list[Problem]]:
    """Convert every section; those that are wrong are missing from the first and told in the second."""
    sound: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, spec in specs.items():
        section = _Section(name, spec, tree, base_dir)
        found = list(section.convert())
        problems.extend(tree.problem(finding.path, finding.message, at=finding.at) for finding in found)
        if not found:
            sound[name] = section.value
    return sound, problems


class _Section:
    def __init__(self, name: str, spec: SectionSpec, tree: Tree, base_dir: Path) -> None:
        self._name = name
        self._spec = spec
        self._tree = tree
        self._base_dir = base_dir
        #: What was converted; of an array of tables the items that are sound.
        self.value: Any = None
        #: The place of each sound item in the array as written.
        self._places: list[int] = []

    def convert(self) -> Iterator[Finding]:
        raw = self._tree.values.get(self._name, [] if self._spec.is_list else {})
        if self._spec.is_list:
            yield from self._convert_items(raw)
        else:
            try:
                self.value = self._absolute(convert(raw, self._spec.type))
            except msgspec.ValidationError as error:
                yield from _explained(self._spec.type, raw, (self._name,), error)
        if self.value is not None and self._spec.validate is not None:
            yield from self._own_checks(self._spec.validate(self.value, self._base_dir))

    def _convert_items(self, raw: Any) -> Iterator[Finding]:
        if not isinstance(raw, list):
            name = self._name
            yield Finding((name,), f"found a table, allowed: [[{name}]], a list of tables", (name,))
            return
        self.value = []
        for index, item in enumerate(raw):
            try:
                self.value.append(self._absolute(convert(item, self._spec.struct)))
                self._places.append(index)
            except msgspec.ValidationError as error:
                yield from _explained(self._spec.struct, item, (self._name, index), error)

    def _own_checks(self, complaints: Iterable[tuple[str, str]]) -> Iterator[Finding]:
        for field, complaint in complaints:
            path, message = parse_dotted(field), complaint
            if self._spec.is_list and path and isinstance(path[0], int):
                path = (self._places[path[0]], *path[1:])
                message = re.sub(rf"\b{re.escape(self._name)}\[(\d+)\]", self._place_of, complaint)
            yield Finding((self._name, *path), message, (self._name, *path))

    def _place_of(self, match: re.Match[str]) -> str:
        return f"{self._name}[{self._places[int(match.group(1))]}]"

    def _absolute(self, value: Any) -> Any:
        """Resolve every relative path in it, those of defaults included."""
        if isinstance(value, Path):
            return Path(self._base_dir, value.expanduser())
        if isinstance(value, Struct):
            changes = {
                name: new
                for name in value.__struct_fields__
                if (new := self._absolute(old := getattr(value, name))) is not old
            }
            return msgspec.structs.replace(value, **changes) if changes else value
        if isinstance(value, list | tuple) and any(isinstance(item, Path | Struct) for item in value):
            return type(value)(self._absolute(item) for item in value)
        if isinstance(value, dict) and any(isinstance(item, Path | Struct) for item in value.values()):
            return {key: self._absolute(item) for key, item in value.items()}
        return value


def _explained(annotation: Any, raw: Any, path: KeyPath, error: msgspec.ValidationError) -> Iterable[Finding]:
    # Never nothing: what the diagnosis has no words for yet is told in msgspec's.
    return list(diagnose(annotation, raw, path)) or [Finding(path, str(error), path)]
