"""Packages that import what they show when somebody asks for it, so that a command line does not load a server."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazily(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package (PEP 562): a name is imported from its home when it is first asked for.

    A type checker must not see it, or it would take every name to be there: packages import theirs for it apart.

    :param package: its ``__name__``.
    :param homes: module of the package → names that are shown of it. A name must not be that of a module: importing the module
        would take its place.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{home_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get
