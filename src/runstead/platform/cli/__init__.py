"""The command host: builds the command line, and what commands talk to the server and to people with."""

from runstead.platform.cli.client import Client, segment
from runstead.platform.cli.errors import CliError, ExitCode
from runstead.platform.cli.host import CommandLine, Composition, build_cli, composition
from runstead.platform.cli.output import Output
from runstead.platform.cli.sse import SseMessage
from runstead.platform.cli.version import JsonFlag

__all__ = [
    "CliError",
    "Client",
    "CommandLine",
    "Composition",
    "ExitCode",
    "JsonFlag",
    "Output",
    "SseMessage",
    "build_cli",
    "composition",
    "segment",
]
