"""What the loader must know of a section: its type, the checks that types cannot say, and its names in the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionSpec:
    """One ``[section]``, or one ``[[section]]`` when the type is ``list[Struct]``.

    Fields of type ``pathlib.Path`` arrive absolute: what is relative is resolved against the folder of the configuration file.
    Fields of type ``Secret | None`` are read from ``RUNSTEAD_<SECTION>_<FIELD>`` alone.
    """

    #: A frozen Struct, or ``list[Struct]`` for an array of tables.
    type: Any
    #: Called with the converted value and the base folder; yields (field path relative to the section, message), as in
    #: ``("[1].path", "found ..., allowed: ...")``.
    validate: Callable[[Any, Path], Iterable[tuple[str, str]]] | None = None
    #: Variable → the name under which ``Settings.credentials.secret(section, name)`` gives it. For secrets that are no field.
    secrets: Mapping[str, str] = field(default_factory=dict)
    #: Variable → dotted field (or secret) of this section: names kept from elsewhere. The RUNSTEAD_* name wins.
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_list(self) -> bool:
        """Whether the section is an array of tables."""
        return get_origin(self.type) in (list, tuple)

    @property
    def struct(self) -> type[msgspec.Struct]:
        """The Struct of the section, or of one of its items."""
        struct: type[msgspec.Struct] = get_args(self.type)[0] if self.is_list else self.type
        return struct
