"""How a command ends."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command; scripts may rely on them."""

    OK = 0
    #: What was asked for did not work.
    FAILED = 1
    #: The command line or the configuration is wrong; nothing was tried.
    USAGE = 2
    #: No server answers.
    UNREACHABLE = 3
    #: The server wants another credential.
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    #: Ctrl-C.
    INTERRUPTED = 130


class CliError(Exception):
    """Ends the command with a message on stderr and an exit code."""

    def __init__(self, message: str, *, exit_code: int = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
