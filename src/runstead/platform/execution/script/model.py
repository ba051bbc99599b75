"""Programs, what is asked of them, and what comes back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from runstead.kernel.limits import KIB, MIB

Kind = Literal["check", "run"]

_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,127}")
#: Words that are no names: as a function to call they would change the meaning of the call.
_RESERVED: Final = frozenset(
    {
        "arguments",
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "eval",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "return",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "undefined",
        "var",
        "void",
        "while",
        "with",
        "yield",
    }
)


def is_function_name(text: str) -> bool:
    """Whether a global function can have this name (letters, digits, ``_`` and ``$``; 128 characters at most)."""
    return _IDENTIFIER.fullmatch(text) is not None and text not in _RESERVED


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLimits:
    """What one invocation may use."""

    #: Time in the script; what it waits for at the server does not count.
    script_seconds: float = 1.0
    #: Time altogether, what it waits for included.
    wall_seconds: float = 5.0
    #: Whether it may wait within a turn, by calls that hold it up; then the engine interrupts it at wall_seconds only, and one
    #: that spins is ended with its worker.
    may_block: bool = False
    heap_bytes: int = 16 * MIB
    #: Of the engine's own stack; a frame of a script takes some hundred bytes of it.
    stack_bytes: int = 256 * KIB


@dataclass(frozen=True, slots=True)
class Program:
    """One version of a source. Workers keep it by its digest."""

    #: What stack traces call it.
    file: str
    source: str
    digest: str
    #: ``(name, source)`` of modules, each after those that it imports; the last is the program. None: the source is a script.
    modules: Sequence[tuple[str, str]] = ()

    @classmethod
    def of(cls, file: str, source: str, modules: Sequence[tuple[str, str]] = ()) -> Program:
        """Make one.

        :param modules: where it consists of modules.
        """
        hashed = hashlib.sha256(source.encode("utf-8", "replace"))
        for name, text in modules:
            hashed.update(f"\0{name}\0{text}".encode("utf-8", "replace"))
        return cls(file, source, hashed.hexdigest(), tuple(modules))


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One thing to do with a program, in a context of its own.

    ``check`` parses. ``run`` runs its top level and then calls ``function(argument)``. The function ``init`` may be missing, and
    what comes back from it is ``{"registrations": [...]}``; what comes back from any other is a response.
    """

    kind: Kind = "run"
    function: str = ""
    #: Of None, bool, int, float, str, bytes, list and dict.
    argument: Any = None
    limits: ScriptLimits = field(default_factory=ScriptLimits)
    #: Whether it may be run again when its worker was lost through no fault of its own.
    repeatable: bool = False

    def __post_init__(self) -> None:
        if self.kind == "run" and not is_function_name(self.function):
            raise ValueError(f"{self.function!r} is no name of a function")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came back. The value is the script's word: check it before use."""

    value: Any
    #: ``(level, text)`` in order.
    console: Sequence[tuple[str, str]] = ()
    script_ms: float = 0.0

    @property
    def registrations(self) -> Sequence[Mapping[str, Any]]:
        """What ``init`` registered: ``{"kind", ...}``."""
        found = self.value.get("registrations") if isinstance(self.value, dict) else None
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
