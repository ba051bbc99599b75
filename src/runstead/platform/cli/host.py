"""The command line as a whole: the platform's own groups, those that capabilities contribute, and how any of them ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

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


_HELP: Final = """A home for your scripts: run them, watch them, keep what they make.

Commands talk to the server of the configuration in this folder, or of `RUNSTEAD_URL`. Every command takes `--help`, which shows an example, and `--json`.
"""

_EPILOGUE: Final = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no server answers, 4 not allowed, 5 not found, 130 interrupted."

_OWN_GROUPS: Final[Mapping[str, str]] = {
    "config": "runstead.platform.cli.config_commands:app",
    "doctor": "runstead.platform.cli.doctor:doctor",
    "db": "runstead.platform.cli.db_commands:app",
    "version": "runstead.platform.cli.version:version",
}

_composition: ContextVar[Callable[[], Composition]] = ContextVar("runstead_composition")


def composition() -> Composition:
    """What the command that runs was given by bootstrap; nothing when it was called outside of a command line."""
    provide = _composition.get(None)
    return provide() if provide is not None else Composition()


class CommandLine:
    """A root command. ``run`` never raises: whatever happens becomes a message and an exit code."""

    def __init__(self, app: App, provide: Callable[[], Composition]) -> None:
        self.app = app
        self._provide = provide

    def run(self, argv: Sequence[str]) -> int:
        """Run one command; returns its exit code."""
        token = _composition.set(self._provide)
        try:
            result = self.app(list(argv), exit_on_error=False, print_error=True, result_action="return_value")
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
        finally:
            _composition.reset(token)


def build_cli(groups: Mapping[str, str], *, provide: Callable[[], Composition] = Composition) -> CommandLine:
    """Build the root command.

    :param groups: command → ``module:attribute`` of a cyclopts App with that name, or of a function; imported when it is called.
    :param provide: called when a command needs to know what the server consists of.
    """
    app = App(
        name="runstead",
        help=_HELP,
        help_epilogue=_EPILOGUE,
        version=__version__,
        help_format="markdown",
        suppress_keyboard_interrupt=False,
    )
    for name, path in {**groups, **_OWN_GROUPS}.items():
        app.command(path, name=name)
    return CommandLine(app, provide)


def _complain(message: str) -> None:
    for line in message.splitlines():
        print(f"runstead: {line}", file=sys.stderr)  # noqa: T201
