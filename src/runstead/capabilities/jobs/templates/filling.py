"""From a template and what somebody gives to an argv: no shell, and no way for a value to become two words or an option."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final

from runstead.capabilities.jobs.command import split_words
from runstead.capabilities.jobs.templates.model import (
    FILE_BYTES_MAX,
    Definition,
    Parameter,
    TemplateError,
    schema_of,
)
from runstead.platform.http.jsonschemas import DeclaredSchema

_PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_NAME_CHARS: Final = re.compile(r"[^A-Za-z0-9._ -]")


@dataclass(slots=True)
class Filled:
    """What a template has become."""

    argv: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    #: Variables whose values are written down nowhere.
    secrets: dict[str, str] = field(default_factory=dict)
    #: Path → content.
    files: dict[Path, bytes] = field(default_factory=dict)


def check(definition: Definition) -> None:
    """Whether it makes sense by itself.

    :raises TemplateError: names what does not.
    """
    words, declared = split_words(definition.command), {one.name: one for one in definition.parameters}
    if len(declared) < len(definition.parameters):
        raise _wrong("parameters", "two parameters have the same name")
    if _PLACE.search(words[0]):
        raise _wrong("command", "the program itself is not to be chosen")
    placed = {name for word in words for name in _PLACE.findall(word)}
    for number, one in enumerate(definition.parameters):
        if problem := _problem(one, placed):
            raise _wrong(f"parameters.{number}", f"{one.name}: {problem}")
        if one.env is not None and one.env in definition.env:
            raise _wrong(f"parameters.{number}", f"{one.name}: the variable {one.env} has a value already")
    schema = DeclaredSchema(schema_of(definition))
    if problem := schema.problem():
        raise _wrong("parameters", problem)
    defaults = {one.name: one.default for one in definition.parameters if one.default is not None}
    for wrong in schema.problems(defaults, "default"):
        if "required" not in wrong["message"]:
            raise _wrong("parameters", f"{wrong['field']}: {wrong['message']}")


def _problem(one: Parameter, placed: set[str]) -> str | None:
    if one.type == "enum" and not one.values:
        return "an enum has values"
    if one.type == "secret" and (one.env is None or one.name in placed):
        return "a secret comes in a variable (env), for everybody sees the words of a command"
    if one.type in ("secret", "file") and one.default is not None:
        return f"a {one.type} has no default"
    if one.name not in placed and one.env is None:
        return f"neither the command has a place {{{one.name}}} for it, nor is there a variable (env)"
    return None


def fill(definition: Definition, given: Mapping[str, Any], *, folder: Path) -> Filled:
    """Put in what somebody gives.

    :param folder: where files will be.
    :raises TemplateError: it does not fit; the details name each place.
    """
    problems = DeclaredSchema(schema_of(definition)).problems(dict(given), "params")
    if problems:
        first = problems[0]
        raise TemplateError(
            f"{first['field']}: {first['message']}", details={"field": first["field"], "problems": problems}
        )
    filled, texts = Filled(), dict[str, str | None]()
    for one in definition.parameters:
        value = given.get(one.name, one.default)
        texts[one.name] = _text(one, value, filled, folder)
        if one.env is not None and value is not None:
            target = filled.secrets if one.type == "secret" else filled.env
            target[one.env] = texts[one.name] or ""
    kinds = {one.name: one for one in definition.parameters}
    filled.argv = tuple(_words(definition.command, texts, kinds))
    return filled


def _text(one: Parameter, value: Any, filled: Filled, folder: Path) -> str | None:
    if value is None:
        return None
    if one.type == "file":
        path, content = _file(one, value, folder)
        filled.files[path] = content
        return str(path)
    if one.type == "boolean":
        return "true" if value else "false"
    text = str(value)
    if "\0" in text:
        raise _wrong(f"params.{one.name}", "it holds a NUL")
    return text


def _file(one: Parameter, value: Mapping[str, str], folder: Path) -> tuple[Path, bytes]:
    place = f"params.{one.name}"
    try:
        content = base64.b64decode(value["content"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _wrong(f"{place}.content", "that is no base64") from error
    most = one.max_bytes or FILE_BYTES_MAX
    if len(content) > most:
        raise _wrong(f"{place}.content", f"it has {len(content)} bytes; {most} are allowed")
    name = _NAME_CHARS.sub("_", PurePath(value["filename"].replace("\\", "/")).name).lstrip(".- ") or "file"
    return folder / one.name / name[:128], content


def _words(command: str, texts: Mapping[str, str | None], kinds: Mapping[str, Parameter]) -> Iterator[str]:
    for word in split_words(command):
        names = [name for name in _PLACE.findall(word) if name in kinds]
        alone = len(names) == 1 and word == f"{{{names[0]}}}"
        if any(texts[name] is None for name in names):
            continue
        if alone and kinds[names[0]].type == "boolean":
            if texts[names[0]] == "true":
                yield kinds[names[0]].flag or f"--{names[0].replace('_', '-')}"
            continue
        made = _PLACE.sub(lambda found: texts.get(found[1], found[0]) or "", word)
        if alone and made.startswith("-") and _could_be_an_option(kinds[names[0]]):
            raise _wrong(f"params.{names[0]}", "it begins with a dash, and so would be taken for an option")
        yield made


def _could_be_an_option(one: Parameter) -> bool:
    return one.type == "string" and one.pattern is None


def _wrong(place: str, message: str) -> TemplateError:
    return TemplateError(f"{place}: {message}", details={"field": place})
