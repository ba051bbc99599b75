"""Supervised subprocesses: sandbox, limits, output, kill."""

from __future__ import annotations

from runstead.platform.execution.process.cgroups import GroupStatus, close_control_groups, group_status
from runstead.platform.execution.process.identity import Identity
from runstead.platform.execution.process.kept import KeptProcess, OnKeptOutput, end_of_kept
from runstead.platform.execution.process.model import (
    Exit,
    Launch,
    ProcessLimits,
    SandboxMode,
    SecretsAs,
    StartError,
)
from runstead.platform.execution.process.running import RunningProcess
from runstead.platform.execution.process.sandbox import SandboxRequiredError, SandboxStatus, sandbox_status
from runstead.platform.execution.process.spool import STREAMS, left_in_spool
from runstead.platform.execution.process.supervisor import Supervisor

__all__ = [
    "STREAMS",
    "Exit",
    "GroupStatus",
    "Identity",
    "KeptProcess",
    "Launch",
    "OnKeptOutput",
    "ProcessLimits",
    "RunningProcess",
    "SandboxMode",
    "SandboxRequiredError",
    "SandboxStatus",
    "SecretsAs",
    "StartError",
    "Supervisor",
    "close_control_groups",
    "end_of_kept",
    "group_status",
    "left_in_spool",
    "sandbox_status",
]
