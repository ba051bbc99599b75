"""``runstead version``."""

from __future__ import annotations

import platform
from typing import Annotated

from cyclopts import Parameter

from runstead import __version__
from runstead.platform.cli.output import Output

JsonFlag = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


def version(*, json: JsonFlag = False) -> None:
    """Print the versions of Runstead and Python.

    Example: `runstead version --json`
    """
    python = platform.python_version()
    if json:
        Output(json=True).value({"runstead": __version__, "python": python, "platform": platform.platform()})
    else:
        Output().line(f"runstead {__version__} (Python {python})")
