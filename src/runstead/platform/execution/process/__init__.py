"""Supervised subprocesses: sandbox, limits, output, kill."""

from __future__ import annotations

from runstead.platform.execution.process.model import Exit, Launch, ProcessLimits, SandboxMode, StartError
from runstead.platform.execution.process.sandbox import SandboxRequiredError, SandboxStatus, sandbox_status
from runstead.platform.execution.process.supervisor import RunningProcess, Supervisor

__all__ = [
    "Exit",
    "Launch",
    "ProcessLimits",
    "RunningProcess",
    "SandboxMode",
    "SandboxRequiredError",
    "SandboxStatus",
    "StartError",
    "Supervisor",
    "sandbox_status",
]
