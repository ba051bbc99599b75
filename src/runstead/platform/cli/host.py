"""The command line as a whole: the platform's own groups, those that capabilities contribute, and how any of them ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from cyclopts import App, CycloptsError

from runstead import __version__
from runstead.platform.cli.errors import CliError, ExitCode

if TYPE_CHECKING:
    from runstead.platform.config import SectionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """What bootstrap knows and the platform's commands need."""

    #: The capabilities' sections of the configuration.
    sections: Mapping[str, SectionSpec] = field(default_factory=dict)
    #: Branch → folder of its revisions.
    migration_folders: Mapping[str, Path] = field(default_factory=dict)


#: Where a command is (``module:attribute``), alone or with the line that the list of commands shows for it.
Target: TypeAlias = str | tuple[str, str]

_HELP: Final = """A home for your scripts: run them, watch them, keep what they make.

Commands talk to the server of the configuration in this folder, or of `RUNSTEAD_URL`.
Every command takes `--help`, which shows an example, and `--json`.
"""

_EPILOGUE: Final = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no server answers, "
    "4 not allowed, 5 not found, 130 interrupted."
)

_OWN_COMMANDS: Final[Mapping[str, Target]] = {
    "config": ("runstead.platform.cli.config_commands:app", "Check, show and describe the configuration."),
    "db": ("runstead.platform.cli.db_commands:app", "Look after the database: its schema and its backup."),
    "doctor": (
        "runstead.platform.cli.doctor:doctor",
        "Find what is degraded on this machine, and how to mend it.",
    ),
    "version": ("runstead.platform.cli.version:version", "Print the versions of Runstead and Python."),
}

_HELP_FLAGS: Final = ("--help", "-h")

_composition: ContextVar[Callable[[], Composition]] = ContextVar("runstead_composition")


def composition() -> Composition:
    """What the command that runs was given by bootstrap; nothing when it was called outside of a command line."""
    provide = _composition.get(None)
    return provide() if provide is not None else Composition()


class CommandLine:
    """The root command. What goes wrong becomes a message on stderr and an exit code; only a bug of ours leaves a traceback."""

    def __init__(self, commands: Mapping[str, Target], provide: Callable[[], Composition]) -> None:
        self._commands = commands
        self._provide = provide

    def run(self, argv: Sequence[str]) -> int:
        """Run one command; returns its exit code."""
        app = _root(self._commands, as_list=not argv or argv[0] in _HELP_FLAGS)
        token = _composition.set(self._provide)
        try:
            result = app(list(argv), exit_on_error=False, print_error=True, result_action="return_value")
            return result if isinstance(result, int) and not isinstance(result, bool) else ExitCode.OK
        except CycloptsError:
            return ExitCode.USAGE  # It has printed what is wrong.
        except CliError as error:
            _complain(str(error))
            return int(error.exit_code)
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
        except BrokenPipeError:
            # `runstead ... | head` has what it wants. Python would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return ExitCode.OK
        except Exception as error:
            if not _is_config_error(error):
                raise
            _complain(str(error))
            return ExitCode.USAGE
        finally:
            _composition.reset(token)


def build_cli(
    commands: Mapping[str, Target], *, provide: Callable[[], Composition] = Composition
) -> CommandLine:
    """Build the root command.

    :param commands: name → a cyclopts App of that name, or a function; imported only when it is called.
    :param provide: called when a command needs to know what the server consists of.
    """
    return CommandLine({**_OWN_COMMANDS, **commands}, provide)


def _root(commands: Mapping[str, Target], *, as_list: bool) -> App:
    """The root command; ``as_list`` to show the list of commands, for which none is then imported."""
    app = App(
        name="runstead",
        help=_HELP,
        help_epilogue=_EPILOGUE,
        help_flags=_HELP_FLAGS,
        version=__version__,
        help_format="markdown",
        suppress_keyboard_interrupt=False,
    )
    for name, target in sorted(commands.items()):
        path, summary = (target, "") if isinstance(target, str) else target
        # A summary given here would take the place of all the help that the command has itself.
        app.command(path, name=name, help=summary if as_list else None)
    return app


def _is_config_error(error: Exception) -> bool:
    # Importing it here would cost every command as much as all the rest; when nobody has imported it, nobody has raised it.
    problems = sys.modules.get("runstead.platform.config.problems")
    return problems is not None and isinstance(error, problems.ConfigError)


def _complain(message: str) -> None:
    for line in message.splitlines():
        print(f"runstead: {line}", file=sys.stderr)  # noqa: T201
