"""Commands as a capability would contribute them."""

from cyclopts import App

from runstead.platform.cli import CliError, ExitCode, JsonFlag, Output
from runstead.platform.config import ConfigError, Problem

app = App(name="sample", help="Ends in every way there is.")


@app.command
def fail(exit_code: int) -> None:
    """End with a message and an exit code."""
    raise CliError("two lines\nof complaint", exit_code=exit_code)


@app.command
def misconfigured() -> None:
    """End as a command that cannot read the configuration does."""
    raise ConfigError(
        [Problem(file="runstead.toml", line=1, column=2, field="server.port", message="found 0")]
    )


@app.command
def interrupted() -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


@app.command
def broken() -> None:
    """End as a bug does."""
    raise ZeroDivisionError


@app.command
def code(value: int) -> int:
    """End with a code."""
    return value


@app.command
def say(text: str, *, json: JsonFlag = False) -> ExitCode:
    """Say something."""
    Output(json=json).item({"text": text}, text)
    return ExitCode.OK


def alone() -> None:
    """Be a command without a group."""
    Output().line("alone")
