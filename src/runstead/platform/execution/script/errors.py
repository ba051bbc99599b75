"""What can go wrong with a script. The console that it wrote until then is with the error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runstead.kernel.errors import RunsteadError, UnavailableError


class ScriptError(RunsteadError):
    """The script failed."""

    code = "E_SCRIPT"
    status = 500

    #: ``(level, text)`` in order.
    console: Sequence[tuple[str, str]] = ()


class ScriptThrewError(ScriptError):
    """The script failed.

    What it threw stays apart from the public message.
    """

    def __init__(self, name: str, text: str, frames: Sequence[str] = ()) -> None:
        """Say what was thrown.

        :param name: the constructor's name, such as ``TypeError``.
        :param frames: ``function (file:line:column)`` in the author's own file, the innermost first.
        """
        super().__init__()
        self.name = name
        self.text = text
        self.frames: Sequence[str] = tuple(frames)

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class ScriptSyntaxError(ScriptError):
    """The script is not valid JavaScript."""

    code = "E_SYNTAX"
    status = 422

    def __init__(self, text: str, *, file: str, line: int | None, column: int | None) -> None:
        place = f" ({file}:{line}:{column})" if line is not None else ""
        super().__init__(
            f"{text}{place}", details={"file": file, "line": line, "column": column, "problem": text}
        )


class ScriptTimeoutError(ScriptError):
    """The script ran longer than it may and was stopped."""

    code = "E_SCRIPT_TIMEOUT"
    status = 504

    def __init__(self, seconds: float) -> None:
        super().__init__(details={"limit_seconds": seconds})


class ScriptMemoryError(ScriptError):
    """The script used more memory than it may and was stopped."""

    code = "E_SCRIPT_MEMORY"
    status = 500

    def __init__(self, heap_bytes: int) -> None:
        super().__init__(details={"limit_bytes": heap_bytes})


class ScriptCrashError(ScriptError):
    """The script's worker ended while it ran."""

    code = "E_SCRIPT_CRASH"
    status = 502

    def __init__(self, *, innocent: bool = False, started: bool = True) -> None:
        """Say whose fault it was.

        :param innocent: another invocation had the turn.
        :param started: it had had a turn of its own.
        """
        super().__init__()
        self.innocent = innocent
        self.started = started


class ScriptBusyError(UnavailableError):
    """No script worker became free in time."""

    def __init__(self, *, details: Any = None) -> None:
        super().__init__(details=details, headers={"Retry-After": "1"})
