"""YAML with positions. Plain words mean what YAML 1.2's core schema says: ``off`` is text, not false; ``010`` is ten."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from runstead.platform.config.keypath import KeyPath
from runstead.platform.config.places import Places

_MERGE: Final = "tag:yaml.org,2002:merge"


class YamlSyntaxError(ValueError):
    """Not YAML."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one where libyaml is
    """PyYAML's safe loader, with the words of YAML 1.2 (yaml.org/spec/1.2.2 section 10.3.2)."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's interface


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        [char if char != "\0" else "" for char in _first],
    )
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def parse(text: str) -> Any:
    """Parse one document.

    :raises YamlSyntaxError: for anything that is not YAML of plain values, and for a repeated key.
    """
    loader, places = _Loader(text), Places(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeated_keys(node, places)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = error.problem or error.context or "unexpected text"
        raise YamlSyntaxError(message, *places.at(mark.index if mark else 0)) from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, YamlSyntaxError):
            raise
        raise YamlSyntaxError(str(error).split("\n", 1)[0], 1, 1) from None
    finally:
        loader.dispose()


def locate(text: str) -> dict[KeyPath, tuple[int, int]]:
    """Line and column of every key and every list item of a document that :func:`parse` took.

    What an alias or a merge key brings stands where it was written, at the anchor.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    finally:
        loader.dispose()
    found: dict[KeyPath, int] = {}
    if node is not None:
        _walk(node, (), found)
    places = Places(text)
    return {path: places.at(offset) for path, offset in found.items()}


def _offset(node: Any) -> int:
    # The line and column of a mark would count every line separator that Unicode has.
    return int(node.start_mark.index)


def _walk(node: Any, path: KeyPath, found: dict[KeyPath, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag == _MERGE:
                for table in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    inherited: dict[KeyPath, int] = {}
                    _walk(table, path, inherited)
                    found.update({at: place for at, place in inherited.items() if at not in found})
                continue
            # Text as written: every key of ours is text, whatever YAML would make of it.
            found[(*path, key.value)] = _offset(key)
            _walk(value, (*path, key.value), found)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            found[(*path, index)] = _offset(item)
            _walk(item, (*path, index), found)


def _refuse_repeated_keys(root: Any, places: Places) -> None:
    """PyYAML would take the last one in silence. Visits each node once, so that aliases cannot make it long."""
    seen, waiting = {id(root)}, [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode) or key.tag not in (_MERGE, "tag:yaml.org,2002:str"):
                    raise YamlSyntaxError("found a key that is not text", *places.at(_offset(key)))
                if key.value in keys and key.tag != _MERGE:
                    raise YamlSyntaxError(
                        f"the key {key.value!r} stands twice in one table", *places.at(_offset(key))
                    )
                keys.add(key.value)
            below = [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        else:
            continue
        for child in below:
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)
