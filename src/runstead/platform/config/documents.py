"""Reading one configuration file: TOML, YAML or JSON, with the position of everything in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from runstead.kernel.limits import MIB
from runstead.platform.config.keypath import KeyPath, dotted
from runstead.platform.config.problems import ConfigError, Problem

#: Far more than anyone writes by hand; a wrong path (a log, a database) fails at once instead of being parsed.
FILE_BYTES_MAX: Final = 1 * MIB

#: Levels of tables and lists. The deepest setting is at 4; beyond this it is a mistake or a YAML bomb.
DEPTH_MAX: Final = 32

#: Values in all, aliases of YAML counted each time that they are used.
VALUES_MAX: Final = 100_000

SUFFIXES: Final = (".toml", ".yaml", ".yml", ".json")

#: Line and column, both from 1.
Position: TypeAlias = tuple[int, int]
Positions: TypeAlias = Mapping[KeyPath, Position]

_TOML_PLACE: Final = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


class Document:
    """A parsed file. Positions are worked out when the first is asked for: a sound configuration never pays for them."""

    def __init__(
        self, *, label: str, text: str, data: dict[str, Any], locate: Callable[[str], Positions]
    ) -> None:
        #: The path as the user would type it.
        self.label = label
        self.data = data
        self._text = text
        self._locate = locate
        self._positions: Positions | None = None

    def position(self, path: KeyPath) -> Position:
        """Where the key (or the item of a list) stands; of the nearest thing around it when it does not."""
        if self._positions is None:
            self._positions = self._locate(self._text)
        while path and path not in self._positions:
            path = path[:-1]
        return self._positions.get(path, (1, 1))


def read_document(path: Path, label: str) -> Document:
    """Read a file by its suffix.

    :raises ConfigError: when it cannot be read or parsed.
    """
    text = _read_text(path, label)
    parse = {".toml": _parse_toml, ".json": _parse_json}.get(path.suffix.lower(), _parse_yaml)
    try:
        data, locate = parse(text, label)
        _check_extent(data, label)
    except RecursionError:
        raise _fault(label, 0, 0, f"nested too deeply, allowed: {DEPTH_MAX} levels") from None
    return Document(label=label, text=text, data=data, locate=locate)


def _fault(label: str, line: int, column: int, message: str) -> ConfigError:
    return ConfigError([Problem(file=label, line=line, column=column, field="", message=message)])


def _read_text(path: Path, label: str) -> str:
    if path.suffix.lower() not in SUFFIXES:
        raise _fault(label, 0, 0, f"found the suffix {path.suffix!r}, allowed: {', '.join(SUFFIXES)}")
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _fault(label, 0, 0, f"cannot be read: {error.strerror or error}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise _fault(label, 0, 0, f"found more than {FILE_BYTES_MAX} bytes, allowed: up to that")
    return decode_text(raw, label)


def decode_text(raw: bytes, label: str) -> str:
    """Decode UTF-8, a byte order mark allowed.

    :raises ConfigError: with the line and column of the first byte that is not.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Counted without the byte order mark, in what was decoded.
        before = error.object[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise _fault(
            label, line, column, f"found the byte 0x{error.object[error.start]:02x}, allowed: UTF-8 text"
        ) from None


def _parse_toml(text: str, label: str) -> tuple[dict[str, Any], Callable[[str], Positions]]:
    import tomllib

    try:
        return tomllib.loads(text), _locate_toml
    except tomllib.TOMLDecodeError as error:
        match = _TOML_PLACE.fullmatch(str(error))
        message, line, column = match.groups() if match else (str(error), None, None)
        if line is None or column is None:
            line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
        if message.startswith(("Cannot", "Duplicate")):
            raise _said_twice(text, label, (int(line), int(column))) from None
        raise _fault(label, int(line), int(column), f"not TOML: {_lower_first(message)}") from None


def _said_twice(text: str, label: str, place: tuple[int, int]) -> ConfigError:
    from runstead.platform.config.toml_positions import repeated_key

    found = repeated_key(text.replace("\r\n", "\n"), place)
    name, (line, column) = (repr(dotted(found[0])), found[1]) if found else ("something", place)
    return _fault(
        label, line, column, f"not TOML: {name} stands twice, or is a table here and a value elsewhere"
    )


def _parse_json(text: str, label: str) -> tuple[dict[str, Any], Callable[[str], Positions]]:
    from runstead.platform.config.json_format import JsonSyntaxError, locate, parse

    try:
        return _table(parse(text), label), locate
    except JsonSyntaxError as error:
        raise _fault(label, error.line, error.column, f"not JSON: {_lower_first(str(error))}") from None


def _parse_yaml(text: str, label: str) -> tuple[dict[str, Any], Callable[[str], Positions]]:
    from runstead.platform.config.yaml_format import YamlSyntaxError, locate, parse

    try:
        return _table(parse(text), label), locate
    except YamlSyntaxError as error:
        raise _fault(label, error.line, error.column, f"not YAML: {_lower_first(str(error))}") from None


def _locate_toml(text: str) -> Positions:
    from runstead.platform.config.toml_positions import locate

    return locate(text)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _table(value: Any, label: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _fault(label, 1, 1, "found no table, allowed: a table of sections")
    return value


def _check_extent(data: Any, label: str) -> None:
    """Refuse what would take for ever to walk, before anything walks it."""
    count = 0
    level = [data]
    for _ in range(DEPTH_MAX):
        count += len(level)
        if count > VALUES_MAX:
            raise _fault(label, 0, 0, f"found more than {VALUES_MAX} values, allowed: up to that")
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            if len(below) > VALUES_MAX:
                break
        level = below
        if not level:
            return
    raise _fault(label, 0, 0, f"nested too deeply, allowed: {DEPTH_MAX} levels")
