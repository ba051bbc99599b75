"""What a field's type allows, in words; and how text from the environment becomes a value of it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from runstead.kernel.secret import Secret

_COLLECTIONS: Final = (list, tuple, set, frozenset)
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


def split_annotated(annotation: Any) -> tuple[Any, tuple[Meta, ...]]:
    """The bare type and its constraints, the outermost last."""
    if get_origin(annotation) is Annotated:
        bare, *metadata = get_args(annotation)
        return bare, tuple(item for item in metadata if isinstance(item, Meta))
    return annotation, ()


def options(annotation: Any) -> tuple[Any, ...]:
    """The members of a union without None; of any other type the type itself."""
    bare, metadata = split_annotated(annotation)
    if get_origin(bare) in (Union, UnionType):
        return tuple(
            Annotated[(member, *metadata)] if metadata else member
            for member in get_args(bare)
            if member is not NoneType
        )
    return (annotation,)


def item_type(annotation: Any) -> Any | None:
    """What a list (tuple, set) holds; None for anything else."""
    bare, _ = split_annotated(annotation)
    if get_origin(bare) in _COLLECTIONS:
        return get_args(bare)[0]
    return Any if bare in _COLLECTIONS else None


def value_type(annotation: Any) -> Any | None:
    """What the values of a free table are; None for anything else."""
    bare, _ = split_annotated(annotation)
    if get_origin(bare) in (dict, Mapping):
        return get_args(bare)[1]
    return Any if bare is dict else None


def struct_type(annotation: Any) -> type[Struct] | None:
    """The Struct, also where it is optional; None for anything else."""
    for option in options(annotation):
        bare, _ = split_annotated(option)
        if isinstance(bare, type) and issubclass(bare, Struct):
            return bare
    return None


def is_secret(annotation: Any) -> bool:
    """Whether the field is a :class:`Secret`, optional or not."""
    return any(split_annotated(option)[0] is Secret for option in options(annotation))


def build(kind: type, value: Any) -> Any:
    """Make what msgspec does not know: paths (still relative) and secrets."""
    if isinstance(value, kind):
        return value
    if kind is Path and isinstance(value, str) and value and "\0" not in value:
        return Path(value)
    raise ValueError(f"found {found(value)}, allowed: {'a path' if kind is Path else 'nothing'}")


def from_text(text: str, annotation: Any) -> Any:
    """Read text as a plain value for the field; text that cannot be read so is returned as it is, to be found wrong later.

    Lists are separated by commas, or a JSON list; tables are JSON.
    """
    for option in options(annotation):
        bare, _ = split_annotated(option)
        if bare is str or bare is Path:
            return text
        if item_type(option) is not None and not text.lstrip().startswith("["):
            inner = item_type(option)
            return [from_text(part.strip(), inner) for part in text.split(",") if part.strip()]
        if item_type(option) is not None or value_type(option) is not None:
            return _from_json(text)
        if bare is bool:
            word = text.strip().lower()
            return True if word in _TRUE else False if word in _FALSE else text
        if bare in (int, float):
            return _number(text, bare)
    return text


def _number(text: str, kind: type) -> Any:
    try:
        return kind(text.strip())
    except ValueError:
        return text


def _from_json(text: str) -> Any:
    from runstead.platform.config.json_format import JsonSyntaxError, parse

    try:
        return parse(text)
    except (JsonSyntaxError, RecursionError):
        return text


def found(value: Any) -> str:
    """A value as a message shows it: short, on one line, and no password of a URL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        text = repr(mask_url(value))
        return text if len(text) <= 80 else f"{text[:60]}... ({len(value)} characters)"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple | set):
        return f"a list of {len(value)}" if value else "an empty list"
    return f"a {type(value).__name__}"


def has_url_password(text: str) -> bool:
    """Whether the text is a URL with a password in it."""
    return mask_url(text) != text


def mask_url(text: str) -> str:
    """The text with ``***`` in the place of a URL's password."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    # The last @ before the path ends the credentials; the first colon ends the user's name.
    authority, slash, tail = rest.partition("/")
    credentials, at, host = authority.rpartition("@")
    user, colon, password = credentials.partition(":")
    if not (at and colon and password):
        return text
    return f"{scheme}://{user}:***@{host}{slash}{tail}"


def allowed(annotation: Any) -> str:
    """What the type takes, in words: ``integer from 1 to 3600000``, ``'granian' or 'uvicorn'``."""
    return " or ".join(dict.fromkeys(_allowed(option) for option in options(annotation)))


def choices(annotation: Any) -> list[str]:
    """The words that a closed list of them allows; empty for any other type."""
    return [word for option in options(annotation) for word in _words(split_annotated(option)[0])]


def _words(bare: Any) -> Iterator[str]:
    if get_origin(bare) is Literal:
        yield from (value for value in get_args(bare) if isinstance(value, str))
    elif isinstance(bare, type) and issubclass(bare, enum.Enum):
        yield from (str(member.value) for member in bare)


def _allowed(annotation: Any) -> str:
    bare, metadata = split_annotated(annotation)
    words = [repr(word) for word in _words(bare)]
    if words:
        return " or ".join(", ".join(words).rsplit(", ", 1))
    if bare is bool:
        return "true or false"
    if bare is int or bare is float:
        return ("integer" if bare is int else "number") + _range(metadata)
    if bare is str:
        return "text" + _lengths(metadata, "characters") + _pattern(metadata)
    if bare is Path:
        return "a path"
    inner = item_type(annotation)
    if inner is not None:
        return "list" + _lengths(metadata, "items") + (f", each {allowed(inner)}" if inner is not Any else "")
    if value_type(annotation) is not None or struct_type(annotation) is not None:
        return "a table"
    return "any value" if bare is Any else str(getattr(bare, "__name__", bare))


def _bound(metadata: tuple[Meta, ...], name: str) -> Any:
    return next((value for meta in reversed(metadata) if (value := getattr(meta, name)) is not None), None)


def _range(metadata: tuple[Meta, ...]) -> str:
    low, high = _bound(metadata, "ge"), _bound(metadata, "le")
    above, below = _bound(metadata, "gt"), _bound(metadata, "lt")
    parts = [f" above {above}"] if above is not None else []
    if low is not None and high is not None:
        parts.append(f" from {low} to {high}")
    elif low is not None:
        parts.append(f" of {low} or more")
    elif high is not None:
        parts.append(f" of {high} or less")
    if below is not None:
        parts.append(f" below {below}")
    step = _bound(metadata, "multiple_of")
    return " and".join(parts) + (f", a multiple of {step}" if step is not None else "")


def _lengths(metadata: tuple[Meta, ...], unit: str) -> str:
    low, high = _bound(metadata, "min_length"), _bound(metadata, "max_length")
    if low and high is not None:
        return f" of {low} to {high} {unit}"
    if low:
        return f" of {low} {unit} or more"
    return f" of up to {high} {unit}" if high is not None else ""


def _pattern(metadata: tuple[Meta, ...]) -> str:
    for meta in metadata:
        if meta.pattern is not None:
            explained = f" ({meta.description.rstrip('.')})" if meta.description else ""
            # Without the part that keeps a line break from passing: it is right, and tells nobody anything.
            shown = meta.pattern.replace(r"(?!\n)", "")
            return f" like {shown}{explained}"
    return ""


def convert(value: Any, annotation: Any) -> Any:
    """Convert a plain value to the type, strictly.

    :raises msgspec.ValidationError: when it does not fit.
    """
    return msgspec.convert(value, annotation, dec_hook=build)
