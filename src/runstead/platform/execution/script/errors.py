"""What can go wrong with a script."""

from __future__ import annotations

from runstead.kernel.errors import RunsteadError, UnavailableError, UnprocessableError


class ScriptError(RunsteadError):
    """The script failed."""

    code = "E_SCRIPT"
    status = 500

    def __init__(self, name: str = "Error", text: str = "", stack: str = "") -> None:
        """What the script threw stays apart from the public message.

        :param name: the constructor's name, such as ``TypeError``.
        :param stack: lines of ``at function (file:line:column)`` in the author's own file.
        """
        super().__init__()
        self.name = name
        self.text = text
        self.stack = stack

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class ScriptSyntaxError(UnprocessableError):
    """The script is not valid JavaScript."""

    code = "E_SYNTAX"


class ScriptTimeoutError(RunsteadError):
    """The script used more CPU time than it may."""

    code = "E_SCRIPT_TIMEOUT"
    status = 504


class ScriptCrashError(RunsteadError):
    """The script's worker ended while it ran."""

    code = "E_SCRIPT_CRASH"
    status = 502


class ScriptUnavailableError(UnavailableError):
    """No script worker is free."""
