"""What holds and where it comes from, fit to be shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from runstead.kernel.secret import MASK, Secret
from runstead.platform.config.environment import ADMIN_TOKEN, MASTER_KEY, MASTER_PASSWORD
from runstead.platform.config.fieldtypes import mask_url
from runstead.platform.config.keypath import KeyPath, dotted
from runstead.platform.config.settings import PLATFORM_SECTIONS, Settings


def show(settings: Settings) -> dict[str, Any]:
    """The effective values.

    ``{"profile", "config_file", "base_dir", "values": {field: {"value", "source"}}, "secrets": {name: "***" or None}}``, where
    ``source`` is ``default``, a place in a file, a variable or ``flag``. Secrets and the passwords of URLs are masked.
    """
    sections = {name: getattr(settings, name) for name in PLATFORM_SECTIONS} | dict(settings.sections)
    values = {}
    for name, section in sections.items():
        for path, value in _leaves(section, (name,)):
            origin = settings.origins.get(path)
            values[dotted(path)] = {"value": value, "source": "default" if origin is None else str(origin)}
    credentials = settings.credentials
    secrets = {ADMIN_TOKEN: credentials.admin_token, MASTER_PASSWORD: credentials.master_password}
    secrets[MASTER_KEY] = credentials.master_key
    secrets |= {
        f"{section}.{name}": secret
        for section, named in credentials.sections.items()
        for name, secret in named.items()
    }
    return {
        "profile": settings.profile,
        "config_file": str(settings.config_file) if settings.config_file else None,
        "base_dir": str(settings.base_dir),
        "values": values,
        "secrets": {name: MASK if secret else None for name, secret in secrets.items()},
    }


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Every field that is no table itself, as plain values."""
    if isinstance(value, Struct):
        for field in msgspec.structs.fields(type(value)):
            inner = getattr(value, field.name)
            if not isinstance(inner, Secret):
                yield from _leaves(inner, (*path, field.encode_name))
    elif isinstance(value, list | tuple) and any(isinstance(item, Struct) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, _masked(msgspec.to_builtins(value, enc_hook=_plain, str_keys=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return MASK


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_url(value)
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return value
