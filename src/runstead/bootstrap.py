"""The composition root: settings → platform parts → five capabilities → ASGI app and command line.

The only file that knows all; read it as a table of contents. The imports of what it composes are inside the functions, so that
``runstead version`` does not load a web server.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstead.kernel.capability import ASGIApp, Capability, HealthCheck
from runstead.platform.cli import Composition, build_cli
from runstead.platform.config import SectionSpec, Settings, load

if TYPE_CHECKING:
    from runstead.platform.observability import Health

#: ``runstead NAME …`` → where its commands are, imported when they are called, and the line that the list shows.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("runstead.serve:serve", "Run the server."),
    "demo": ("runstead.demo:demo", "Walk through all five capabilities against the running server."),
    "apps": ("runstead.capabilities.apps.cli:app", "Web apps in JavaScript."),
    "endpoints": ("runstead.capabilities.endpoints.cli:app", "Declared HTTP routes that run programs."),
    "jobs": ("runstead.capabilities.jobs.cli:app", "Commands with live output."),
    "logs": ("runstead.capabilities.logs.cli:app", "Log events: send, search, projects."),
    "records": ("runstead.capabilities.records.cli:app", "Immutable records of runs."),
}


def main(argv: Sequence[str]) -> int:
    """The command line; returns its exit code."""
    provide = lambda: Composition(sections=sections(), migration_folders=migrations())  # noqa: E731
    return build_cli(COMMANDS, provide=provide).run(argv)


def sections() -> Mapping[str, SectionSpec]:
    """What may stand in the configuration beside the platform's own sections."""
    from runstead.capabilities import apps, endpoints, jobs, logs, records

    return {
        "apps": apps.SECTION,
        "endpoints": endpoints.SECTION,
        "runs": endpoints.RUNS_SECTION,
        "jobs": jobs.SECTION,
        "logs": logs.SECTION,
        "records": records.SECTION,
    }


def migrations() -> Mapping[str, Path]:
    """Branch → folder of its revisions: of all capabilities, for a database that knows more than we do is refused."""
    from runstead.capabilities import apps, jobs, logs
    from runstead.platform.storage import sql

    return {
        "platform": sql.MIGRATIONS,
        "apps": apps.MIGRATIONS,
        "jobs": jobs.MIGRATIONS,
        "logs": logs.MIGRATIONS,
    }


def read_settings(*, config: Path | None, profile: str | None, overrides: Mapping[str, str]) -> Settings:
    """The configuration that holds for this process.

    :raises ConfigError: names everything that is wrong with it.
    """
    from runstead.capabilities import records

    env = {**records.inherited_environment(os.environ), **os.environ}
    return load(sections(), config=config, profile=profile, overrides=overrides, env=env, cwd=Path.cwd())


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What is open while the server runs."""

    app: ASGIApp
    settings: Settings
    health: Health
    services: Mapping[str, Any]
    #: None when the token came from the environment.
    token_file: Path | None
    #: What runs programs and scripts is sealed; else why not.
    sandbox: str


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Server]:
    """Open everything in the order of who needs whom, and close it in reverse.

    :raises DataFolderError: the data folder is not to be had.
    :raises RunsteadError: a part could not be opened.
    """
    from runstead.capabilities import apps, endpoints, jobs, logs, records
    from runstead.data_folder import admin_token, data_folder
    from runstead.platform.execution.process import Supervisor, sandbox_status
    from runstead.platform.execution.script import ScriptPool
    from runstead.platform.http import build_app
    from runstead.platform.identity import Identity
    from runstead.platform.observability import Health, Metrics, Redactor, Tracing, configure_logging
    from runstead.platform.secrets import open_sealer
    from runstead.platform.storage.objects import open_objects
    from runstead.platform.storage.sql import Database, Outbox, migrate

    credentials, execution, loopback = (
        settings.credentials,
        settings.execution,
        is_loopback(settings.server.host),
    )
    data_dir = settings.storage.data_dir
    async with AsyncExitStack() as stack:
        stack.enter_context(data_folder(data_dir))
        token, token_file = admin_token(data_dir, credentials.admin_token)
        redactor = Redactor(*credentials, token)
        stack.callback(configure_logging(settings.observability, redactor, profile=settings.profile).close)

        db = await stack.enter_async_context(
            Database(settings.storage.database_url, readers=settings.storage.readers)
        )
        await migrate(db, migrations())
        objects = open_objects(settings.storage.objects_url)
        sealer = open_sealer(data_dir, credentials.master_key)
        pool = await stack.enter_async_context(
            ScriptPool(workers=execution.script_workers, sandbox=execution.sandbox)
        )
        supervisor = Supervisor()
        metrics = Metrics()
        health = Health([_database_check(db)])
        tracing = None
        if (collector := settings.observability.otlp_endpoint) is not None:
            tracing = await stack.enter_async_context(Tracing(collector, redactor))

        log_store = logs.capability(
            settings=settings.section("logs"), db=db, sealer=sealer, registry=metrics.registry
        )
        sink = log_store.services["intake"]
        record_store = records.capability(
            settings=settings.section("records"),
            objects=objects,
            loopback=loopback,
            registry=metrics.registry,
        )
        app_host = apps.capability(
            settings=settings.section("apps"), db=db, pool=pool, profile=settings.profile, logs=sink
        )
        runs_settings = settings.section("runs")
        endpoint_host = endpoints.capability(
            settings=settings.section("endpoints"),
            runs=runs_settings,
            base_dir=settings.base_dir,
            data_dir=data_dir,
            db=db,
            supervisor=supervisor,
            sandbox=execution.sandbox,
            open_door=loopback and credentials.master_password is None,
            redactor=_ByteRedactor(redactor),
            logs=sink,
            registry=metrics.registry,
            environ=settings.environment,
        )
        job_host = jobs.capability(
            settings=settings.section("jobs"),
            base_dir=settings.base_dir,
            data_dir=data_dir,
            db=db,
            supervisor=supervisor,
            sandbox=execution.sandbox,
            shutdown_grace_seconds=settings.server.shutdown_grace_seconds,
            logs=sink,
            environ=settings.environment,
        )

        capabilities: Sequence[Capability] = (log_store, record_store, endpoint_host, app_host, job_host)
        app = build_app(
            capabilities=capabilities,
            settings=settings.server,
            identity=Identity(admin_token=token, master_password=credentials.master_password),
            health=health,
            metrics=metrics,
            tracing=tracing,
        )
        for capability in capabilities:
            if capability.lifespan is not None:
                await stack.enter_async_context(capability.lifespan())
        recorder = record_store.services["results"].handle
        await stack.enter_async_context(Outbox(db, {jobs.TOPIC: recorder, endpoints.TOPIC: recorder}))
        yield Server(
            app=app,
            settings=settings,
            health=health,
            services={
                name: service for capability in capabilities for name, service in capability.services.items()
            },
            token_file=token_file,
            sandbox="off (execution.sandbox)" if execution.sandbox == "off" else str(sandbox_status()),
        )


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    return host in ("localhost", "::1", "[::1]") or host.startswith("127.")


def _database_check(db: Any) -> HealthCheck:
    import sqlalchemy

    async def probe() -> Mapping[str, Any]:
        await db.read(lambda connection: connection.scalar(sqlalchemy.text("SELECT 1")))
        return {"dialect": db.dialect}

    return HealthCheck(name="database", probe=probe)


class _ByteRedactor:
    """Endpoints redact bytes, the platform text; bytes that are no UTF-8 pass unharmed."""

    def __init__(self, redactor: Any) -> None:
        self._redactor = redactor

    def redact(self, data: bytes) -> bytes:
        text = data.decode("utf-8", "surrogateescape")
        scrubbed: str = self._redactor.scrub_text(text)
        return scrubbed.encode("utf-8", "surrogateescape")
