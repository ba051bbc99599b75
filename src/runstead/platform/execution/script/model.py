"""Programs, what is asked of them, and what comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from runstead.kernel.limits import KIB, MIB

Kind = Literal["check", "init", "call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptLimits:
    """What one invocation may use."""

    #: Time in the script, host calls that it waits for included.
    script_seconds: float = 1.0
    heap_bytes: int = 16 * MIB
    #: Of the engine's own stack; guest frames are smaller.
    stack_bytes: int = 256 * KIB


@dataclass(frozen=True, slots=True)
class Program:
    """One version of a source. Workers keep it by its digest."""

    #: What stack traces call it.
    file: str
    source: str
    digest: str

    @classmethod
    def of(cls, file: str, source: str) -> Program:
        return cls(file, source, hashlib.sha256(source.encode()).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One thing to do with a program, in a context of its own.

    ``check`` parses; ``init`` runs it and calls ``init(argument)`` where there is one; ``call`` runs it and calls
    ``function(argument)``.
    """

    kind: Kind
    function: str = ""
    #: JSON-serialisable.
    argument: Any = None
    limits: ScriptLimits = field(default_factory=ScriptLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came back."""

    #: What the function returned, as JSON would carry it.
    value: Any
    #: ``(level, text)`` in order.
    console: Sequence[tuple[str, str]] = ()
    #: What ``init`` registered: ``{"kind", ...}``.
    registrations: Sequence[Mapping[str, Any]] = ()
    script_ms: float = 0.0
