"""What a caller of an endpoint may be told, with the stable codes."""

from __future__ import annotations

import math
from typing import Any

from runstead.kernel.errors import RunsteadError, UnavailableError


class LockedError(RunsteadError):
    """Too many failed attempts from this address; wait before the next one."""

    code = "E_LOCKED"
    status = 429

    def __init__(self, seconds: float = 1) -> None:
        super().__init__(headers={"Retry-After": str(max(1, math.ceil(seconds)))})


class BusyError(UnavailableError):
    """This endpoint runs as many programs as it may, and its queue is full."""

    def __init__(self, seconds: float = 1, *, details: Any = None) -> None:
        super().__init__(details=details, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


class ScriptError(RunsteadError):
    """The program did not do what an endpoint's program must."""

    code = "E_SCRIPT_EXIT"
    status = 502


class ScriptTimeoutError(ScriptError):
    """The program took longer than it may and was stopped."""

    code = "E_SCRIPT_TIMEOUT"
    status = 504


class ScriptExitError(ScriptError):
    """The program ended with a failure."""

    code = "E_SCRIPT_EXIT"


class ScriptOutputError(ScriptError):
    """What the program printed is not an endpoint's answer."""

    code = "E_SCRIPT_OUTPUT"


class ScriptLimitError(ScriptError):
    """The program hit one of its limits and was stopped."""

    code = "E_SCRIPT_LIMIT"
