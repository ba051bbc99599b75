"""Puts the capability together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from runstead.capabilities.jobs import MIGRATIONS
from runstead.capabilities.jobs.attempts import Attempts
from runstead.capabilities.jobs.http import routes
from runstead.capabilities.jobs.launching import Launcher
from runstead.capabilities.jobs.newjob import Preparer
from runstead.capabilities.jobs.output.files import LogFiles
from runstead.capabilities.jobs.output.index import LogIndex
from runstead.capabilities.jobs.output.keeping import LogKeeper
from runstead.capabilities.jobs.ports import LogSink, NoLogs, Secrets
from runstead.capabilities.jobs.privacy import JobsPersonalData
from runstead.capabilities.jobs.retention import Retention
from runstead.capabilities.jobs.schedules.http import schedule_routes
from runstead.capabilities.jobs.schedules.service import Schedules
from runstead.capabilities.jobs.schedules.store import ScheduleStore
from runstead.capabilities.jobs.service import JobsService
from runstead.capabilities.jobs.settings import JobsSettings
from runstead.capabilities.jobs.store import JobStore
from runstead.capabilities.jobs.templates.http import template_routes
from runstead.capabilities.jobs.templates.service import Templates
from runstead.capabilities.jobs.templates.store import TemplateStore
from runstead.kernel.capability import Capability, HealthCheck
from runstead.kernel.clock import Clock, SystemClock
from runstead.kernel.ids import new_id
from runstead.kernel.limits import MIB
from runstead.kernel.trail import Trail
from runstead.platform.execution.process import SandboxMode, SecretsAs, Supervisor
from runstead.platform.storage.sql import Database


def capability(
    *,
    settings: JobsSettings,
    base_dir: Path,
    data_dir: Path,
    db: Database,
    supervisor: Supervisor,
    sandbox: SandboxMode,
    shutdown_grace_seconds: float,
    logs: LogSink | None = None,
    clock: Clock | None = None,
    trail: Trail | None = None,
    environ: Mapping[str, str] | None = None,
    secrets: Secrets | None = None,
    secrets_as: SecretsAs = "environment",
) -> Capability:
    """Put the capability together. No I/O.

    :param data_dir: holds the logs; jobs in the sandbox do not see it. Those that do not say run in ``base_dir``.
    :param secrets: opens what ``secret://ID`` names; programs get it as ``secrets_as`` says.
    :param environ: what variables are chosen from; default: those of this process.
    """
    clock = clock or SystemClock()
    launcher = _launcher(
        settings, base_dir, data_dir, sandbox=sandbox, environ=environ, secrets_as=secrets_as
    )
    attempts = Attempts(
        launcher=launcher,
        store=(store := JobStore(db, trail)),
        logs=(kept := _logs(settings, data_dir, db)),
        supervisor=supervisor,
        sink=logs or NoLogs(),
        clock=clock,
        secrets=secrets,
    )
    service = JobsService(
        settings=settings,
        store=store,
        preparer=Preparer(launcher=launcher, supervisor=supervisor, base_dir=base_dir, clock=clock),
        attempts=attempts,
        shutdown_grace_seconds=shutdown_grace_seconds,
        clock=clock,
    )
    templates = Templates(TemplateStore(db, trail), service, clock=clock)
    schedules = Schedules(ScheduleStore(db, trail), service, clock=clock)
    retention = Retention(settings, store, service.forget, logs=kept.files.folder, clock=clock)
    return Capability(
        name="jobs",
        routes=(
            routes(service, secrets=secrets),
            schedule_routes(schedules, secrets=secrets, clock=clock),
            template_routes(templates, secrets=secrets),
        ),
        commands="runstead.capabilities.jobs.cli:app",
        migrations=MIGRATIONS,
        services={"jobs": service, "schedules": schedules, "templates": templates},
        personal=JobsPersonalData(db, service.forget),
        checks=(HealthCheck(name="jobs", probe=service.health, critical=False),),
        lifespan=partial(_opened, data_dir, store, service, schedules, retention),
    )


def _logs(settings: JobsSettings, data_dir: Path, db: Database) -> LogKeeper:
    return LogKeeper(
        LogFiles(data_dir / "logs"),
        LogIndex(db),
        part_bytes=settings.log_part_mb * MIB,
        parts_max=settings.log_parts,
    )


def _launcher(
    settings: JobsSettings,
    base_dir: Path,
    data_dir: Path,
    *,
    sandbox: SandboxMode,
    environ: Mapping[str, str] | None,
    secrets_as: SecretsAs,
) -> Launcher:
    return Launcher(
        settings=settings,
        sandbox=sandbox,
        environ=os.environ if environ is None else environ,
        hidden=(data_dir, base_dir / ".env"),
        secrets_as=secrets_as,
        running=data_dir / "jobs",
        files=data_dir / "job-files",
    )


@asynccontextmanager
async def _opened(
    data_dir: Path, store: JobStore, service: JobsService, schedules: Schedules, retention: Retention
) -> AsyncIterator[None]:
    store.node = await asyncio.to_thread(node_id, data_dir)
    async with service.opened(), schedules.opened(), retention.opened():
        yield


def node_id(data_dir: Path) -> str:
    """The name of the server with this data folder; made once. A host's name would not do: containers change theirs."""
    path = data_dir / "node"
    try:
        return path.read_text()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made := new_id())
        return made
