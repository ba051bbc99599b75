"""JavaScript isolates in worker processes behind a narrow engine protocol."""

from __future__ import annotations

from runstead.platform.execution.script.errors import (
    ScriptCrashError,
    ScriptError,
    ScriptSyntaxError,
    ScriptTimeoutError,
    ScriptUnavailableError,
)
from runstead.platform.execution.script.model import Invocation, Outcome, Program, ScriptLimits
from runstead.platform.execution.script.pool import HostCalls, ScriptPool

__all__ = [
    "HostCalls",
    "Invocation",
    "Outcome",
    "Program",
    "ScriptCrashError",
    "ScriptError",
    "ScriptLimits",
    "ScriptPool",
    "ScriptSyntaxError",
    "ScriptTimeoutError",
    "ScriptUnavailableError",
]
