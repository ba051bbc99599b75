"""From a line that a person typed to an argv, without a shell."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Final

from runstead.capabilities.jobs.errors import CommandRefusedError
from runstead.capabilities.jobs.settings import JobsSettings

#: Characters of a command. What is longer belongs into a script.
COMMAND_CHARS_MAX: Final = 8192

#: For readers of the API description, the plain part of what is taken: quotes match, and nothing outside them asks for a shell.
#: What is refused is decided by ``split_command``, which names the column.
COMMAND_PATTERN: Final = (
    r"""^[A-Za-z0-9_./-](?:[^&|;`<>$\\'"\x00\r\n]|\\[^\x00]|'[^'\x00]*'|"(?:[^"\\\x00]|\\[^\x00])*")*$"""
)

_REFUSED: Final = {
    "&": "runs a second command",
    "|": "is a pipe",
    ";": "starts a second command",
    "`": "runs a command inside the command",
    "<": "is a redirection",
    ">": "is a redirection",
    "\n": "starts a second command",
    "\r": "starts a second command",
    "\0": "ends the command",
}


def split_command(command: str, settings: JobsSettings) -> tuple[str, ...]:
    """Split by shell rules (POSIX quoting), or hand over to the shell where the operator allows it.

    :raises CommandRefusedError: names the column (from 1) where something stands that only a shell could do.
    """
    if len(command) > COMMAND_CHARS_MAX:
        raise CommandRefusedError(
            f"the command has {len(command)} characters; {COMMAND_CHARS_MAX} are allowed"
        )
    if "\0" in command:
        raise _refused(command.index("\0") + 1, "\0", "ends the command")
    if settings.allow_shell:
        argv: tuple[str, ...] = ("/bin/sh", "-c", command) if command.strip() else ()
    else:
        argv = split_words(command)
    if not argv:
        raise CommandRefusedError("the command is empty")
    check_allowed(argv[0], settings)
    return argv


def split_words(command: str) -> tuple[str, ...]:
    """Split by shell rules (POSIX quoting), never with a shell.

    :raises CommandRefusedError: names the column (from 1) where something stands that only a shell could do.
    """
    _refuse_shell(command)
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise CommandRefusedError(f"the quotes do not match: {str(error).lower()}") from error
    if not words:
        raise CommandRefusedError("the command is empty")
    return words


def _refuse_shell(command: str) -> None:
    quote = ""
    escaped = False
    for column, character in enumerate(command, start=1):
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in _REFUSED:
            raise _refused(column, character, _REFUSED[character])
        elif character == "$" and command[column : column + 1] == "(":
            raise _refused(column, "$(", "runs a command inside the command")


def _refused(column: int, found: str, meaning: str) -> CommandRefusedError:
    return CommandRefusedError(
        f"column {column}: {found!r} {meaning}; commands are run without a shell, put it in quotes or into a script",
        details={"field": "command", "column": column, "found": found},
    )


def check_allowed(program: str, settings: JobsSettings) -> None:
    """Whether the operator lets it be run.

    :raises CommandRefusedError: it is not on the list.
    """
    names = {program, PurePath(program).name} if "/" not in program else {program}
    if settings.commands and not any(
        fnmatchcase(name, pattern) for name in names for pattern in settings.commands
    ):
        raise CommandRefusedError(
            f"{program!r} is not one of the commands that may be run here",
            details={"field": "command", "allowed": list(settings.commands)},
        )
