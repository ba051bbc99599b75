"""Scripts in sealed worker processes: a pool of them, a fresh context for each invocation, behind a narrow engine protocol."""

from __future__ import annotations

from runstead.platform.execution.script.engine import ConsoleFunction, Engine, HostFunction, Isolate
from runstead.platform.execution.script.errors import (
    ScriptBusyError,
    ScriptCrashError,
    ScriptError,
    ScriptMemoryError,
    ScriptSyntaxError,
    ScriptThrewError,
    ScriptTimeoutError,
)
from runstead.platform.execution.script.model import (
    Invocation,
    Outcome,
    Program,
    ScriptLimits,
    is_function_name,
)
from runstead.platform.execution.script.pool import ScriptPool
from runstead.platform.execution.script.worker_process import HostCalls

__all__ = [
    "ConsoleFunction",
    "Engine",
    "HostCalls",
    "HostFunction",
    "Invocation",
    "Isolate",
    "Outcome",
    "Program",
    "ScriptBusyError",
    "ScriptCrashError",
    "ScriptError",
    "ScriptLimits",
    "ScriptMemoryError",
    "ScriptPool",
    "ScriptSyntaxError",
    "ScriptThrewError",
    "ScriptTimeoutError",
    "is_function_name",
]
