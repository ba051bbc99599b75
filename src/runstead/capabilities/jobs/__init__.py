"""Start a command, watch its live output, kill it, run it again."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from runstead.capabilities.jobs.attempts import Attempts
from runstead.capabilities.jobs.http import routes
from runstead.capabilities.jobs.launching import Launcher
from runstead.capabilities.jobs.model import Job, Status
from runstead.capabilities.jobs.newjob import NewJob, Preparer
from runstead.capabilities.jobs.output.files import LogFiles
from runstead.capabilities.jobs.output.index import LogIndex
from runstead.capabilities.jobs.ports import LogSink, NoLogs, Secrets
from runstead.capabilities.jobs.privacy import JobsPersonalData
from runstead.capabilities.jobs.recording import TOPIC
from runstead.capabilities.jobs.schedules import Schedules, ScheduleStore
from runstead.capabilities.jobs.schedules.http import schedule_routes
from runstead.capabilities.jobs.service import JobsService
from runstead.capabilities.jobs.settings import SECTION, JobsSettings
from runstead.capabilities.jobs.store import JobStore
from runstead.kernel.capability import Capability, HealthCheck
from runstead.kernel.clock import Clock, SystemClock
from runstead.kernel.trail import Trail
from runstead.platform.execution.process import SandboxMode, SecretsAs, Supervisor
from runstead.platform.storage.sql import Database

__all__ = [
    "MIGRATIONS",
    "SECTION",
    "TOPIC",
    "Job",
    "JobsService",
    "JobsSettings",
    "NewJob",
    "Status",
    "capability",
]

#: The folder of the Alembic revisions.
MIGRATIONS: Final = Path(__file__).parent / "migrations"


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

    :param base_dir: where jobs run that do not say, unless the settings do.
    :param data_dir: holds the logs; jobs in the sandbox do not see it.
    :param secrets: opens what ``secret://ID`` in a job's environment names.
    :param secrets_as: how programs get them, see :class:`Launch`.
    :param environ: what the allow-list of variables chooses from; default: this process's environment.
    """
    clock = clock or SystemClock()
    store, index, files = JobStore(db, trail), LogIndex(db), LogFiles(data_dir / "logs")
    node = f"{socket.gethostname()}:{data_dir.resolve()}"
    launcher = Launcher(
        settings=settings,
        sandbox=sandbox,
        environ=os.environ if environ is None else environ,
        hidden=(data_dir, base_dir / ".env"),
        secrets_as=secrets_as,
        running=data_dir / "jobs",
    )
    service = JobsService(
        settings=settings,
        store=store,
        index=index,
        preparer=Preparer(
            launcher=launcher, supervisor=supervisor, base_dir=base_dir, clock=clock, node=node
        ),
        attempts=Attempts(
            launcher=launcher,
            store=store,
            index=index,
            supervisor=supervisor,
            files=files,
            sink=logs or NoLogs(),
            clock=clock,
            secrets=secrets,
        ),
        files=files,
        node=node,
        shutdown_grace_seconds=shutdown_grace_seconds,
        clock=clock,
    )

    schedules = Schedules(ScheduleStore(db, trail), service, clock=clock)

    async def probe() -> Mapping[str, Any]:
        return service.figures()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with service.opened(), schedules.opened():
            yield

    return Capability(
        name="jobs",
        routes=(routes(service, secrets=secrets), schedule_routes(schedules, secrets=secrets, clock=clock)),
        commands="runstead.capabilities.jobs.cli:app",
        migrations=MIGRATIONS,
        services={"jobs": service, "schedules": schedules},
        personal=JobsPersonalData(db, service.log_files.every),
        checks=(HealthCheck(name="jobs", probe=probe, critical=False),),
        lifespan=lifespan,
    )
