"""Puts the capability together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from runstead.capabilities.endpoints.dispatcher import EndpointsDispatcher
from runstead.capabilities.endpoints.door import Door
from runstead.capabilities.endpoints.folders import RunFolders
from runstead.capabilities.endpoints.http import routes
from runstead.capabilities.endpoints.ports import LogSink, NoLogs, NoSecrets, Redactor, Vault
from runstead.capabilities.endpoints.recording import OutboxRecorder
from runstead.capabilities.endpoints.runner import Runner
from runstead.capabilities.endpoints.service import EndpointsService
from runstead.capabilities.endpoints.settings import EndpointSettings, RunsSettings
from runstead.capabilities.endpoints.stats import Figures
from runstead.kernel.capability import Capability, HealthCheck
from runstead.kernel.clock import Clock, SystemClock
from runstead.platform.execution.process import SandboxMode, SecretsAs, Supervisor
from runstead.platform.identity import Lockout
from runstead.platform.storage.sql import Database


def capability(
    *,
    settings: Sequence[EndpointSettings],
    runs: RunsSettings,
    base_dir: Path,
    data_dir: Path,
    db: Database,
    supervisor: Supervisor,
    sandbox: SandboxMode,
    open_door: bool,
    redactor: Redactor | None = None,
    logs: LogSink | None = None,
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
    environ: Mapping[str, str] | None = None,
    vault: Vault | None = None,
    secrets_as: SecretsAs = "environment",
) -> Capability:
    """Put the capability together. No I/O.

    :param base_dir: what relative paths of declarations are relative to: the folder of the config file.
    :param open_door: callers need no credential; only for a loopback address without MASTER_PASSWORD.
    :param registry: where the counters go that a monitoring system reads.
    :param vault: opens what ``NAME=secret://ID`` in ``env`` of a declaration names; programs get it as ``secrets_as`` says.
    :param environ: what ``env`` of a declaration may let through; default: this process's environment.
    """
    clock, redactor = clock or SystemClock(), redactor or NoSecrets()
    folders = RunFolders(base_dir / runs.folder if runs.folder is not None else data_dir / "runs", redactor)
    runner = Runner(
        folders=folders,
        supervisor=supervisor,
        sandbox=sandbox,
        redactor=redactor,
        logs=logs or NoLogs(),
        clock=clock,
        environ=os.environ if environ is None else environ,
        hidden=(data_dir, folders.root, base_dir / ".env"),
        vault=vault,
        secrets_as=secrets_as,
    )
    service = EndpointsService(
        endpoints=settings,
        base_dir=base_dir,
        runs=runs,
        folders=folders,
        runner=runner,
        figures=Figures(registry),
        recorder=OutboxRecorder(db, redactor) if runs.record else None,
        clock=clock,
    )
    door = Door(open_door=open_door, lockout=Lockout(attempts=runs.lockout_attempts), clock=clock)
    return Capability(
        name="endpoints",
        routes=(routes(service),),
        dispatchers=(EndpointsDispatcher(service, door),),
        commands="runstead.capabilities.endpoints.cli:app",
        services={"endpoints": service},
        checks=(HealthCheck(name="endpoints", probe=service.health, critical=False),),
        lifespan=service.opened,
    )
