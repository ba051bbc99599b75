"""The composition root: settings → platform parts → five capabilities → ASGI app and command line.

The only file that knows all; read it as a table of contents. The imports of what it composes are inside the functions, so that
``runstead version`` does not load a web server.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstead.kernel.capability import ASGIApp, Capability, HealthCheck
from runstead.platform.cli import Composition, build_cli
from runstead.platform.config import SectionSpec, Settings, load

if TYPE_CHECKING:
    from runstead.kernel.secret import Secret
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
    "audit": ("runstead.platform.audit.cli:app", "Who did what: read, export, verify."),
    "limits": ("runstead.platform.limits.cli:app", "Rates: what holds, whom to shut out."),
    "secrets": ("runstead.platform.secrets.cli:app", "Secrets: put in, change, who uses them."),
    "users": ("runstead.platform.identity.cli:users", "People: invite, change, disable."),
    "groups": ("runstead.platform.identity.cli:groups", "Groups of people, and grants on single things."),
}


def main(argv: Sequence[str]) -> int:
    """The command line; returns its exit code."""
    provide = lambda: Composition(sections=sections(), migration_folders=migrations())  # noqa: E731
    return build_cli(COMMANDS, provide=provide).run(argv)


def sections() -> Mapping[str, SectionSpec]:
    """What may stand in the configuration beside the platform's own sections."""
    from runstead.capabilities import apps, endpoints, jobs, logs, records
    from runstead.platform import audit, limits, secrets
    from runstead.platform.identity.settings import SECTION as IDENTITY

    return {
        "identity": IDENTITY,
        "secrets": secrets.SECTION,
        "limits": limits.SECTION,
        "audit": audit.SECTION,
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
    from runstead.platform import audit, limits, secrets
    from runstead.platform.identity.tables import MIGRATIONS as IDENTITY
    from runstead.platform.storage import sql

    return {
        "platform": sql.MIGRATIONS,
        "identity": IDENTITY,
        "secrets": secrets.MIGRATIONS,
        "limits": limits.MIGRATIONS,
        "audit": audit.MIGRATIONS,
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
    #: The path that makes the first administrator; None when there is one.
    setup_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Platform:
    """What the capabilities are built on."""

    db: Any
    objects: Any
    log_sealer: Any
    master_keys: Any
    vault: Any
    limiter: Any
    audit: Any
    accounts: Any
    pool: Any
    supervisor: Any
    metrics: Any
    redactor: Any
    tracing: Any
    health: Health
    token: Secret
    token_file: Path | None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Server]:
    """Open everything in the order of who needs whom, and close it in reverse.

    :raises DataFolderError: the data folder is not to be had.
    :raises RunsteadError: a part could not be opened.
    """
    from runstead.capabilities import endpoints, jobs
    from runstead.platform.audit.denials import Denials
    from runstead.platform.audit.http import audit_routes
    from runstead.platform.execution.process import sandbox_status
    from runstead.platform.http import build_app
    from runstead.platform.identity import Identity
    from runstead.platform.identity.http import identity_routes
    from runstead.platform.limits.http import limit_routes
    from runstead.platform.limits.middleware import RateLimits
    from runstead.platform.secrets.http import secret_routes
    from runstead.platform.storage.sql import Outbox

    async with AsyncExitStack() as stack:
        parts = await _open_platform(settings, stack)
        capabilities = _capabilities(settings, parts)
        services = {name: one for capability in capabilities for name, one in capability.services.items()}
        app = build_app(
            capabilities=capabilities,
            settings=settings.server,
            identity=Identity(
                admin_token=parts.token,
                master_password=settings.credentials.master_password,
                accounts=parts.accounts,
            ),
            health=parts.health,
            metrics=parts.metrics,
            routes=[
                *identity_routes(parts.accounts),
                audit_routes(parts.audit),
                limit_routes(parts.limiter),
                secret_routes(parts.vault, parts.master_keys, parts.audit),
            ],
            tracing=parts.tracing,
            witness=Denials(parts.audit),
            redactor=parts.redactor,
            rates=partial(RateLimits, limiter=parts.limiter),
        )
        await stack.enter_async_context(parts.audit.opened())
        await stack.enter_async_context(parts.accounts.opened())
        await stack.enter_async_context(parts.master_keys.opened())
        await stack.enter_async_context(parts.vault.opened())
        await stack.enter_async_context(parts.limiter.opened())
        for capability in capabilities:
            if capability.lifespan is not None:
                await stack.enter_async_context(capability.lifespan())
        recorder = services["results"].handle
        await stack.enter_async_context(Outbox(parts.db, {jobs.TOPIC: recorder, endpoints.TOPIC: recorder}))
        yield Server(
            app=app,
            settings=settings,
            health=parts.health,
            services=services,
            token_file=parts.token_file,
            sandbox="off (execution.sandbox)"
            if settings.execution.sandbox == "off"
            else str(sandbox_status()),
            setup_path=await parts.accounts.setup_path(),
        )


async def _open_platform(settings: Settings, stack: AsyncExitStack) -> _Platform:
    from runstead.data_folder import admin_token, data_folder
    from runstead.platform.audit import Audit
    from runstead.platform.execution.process import Supervisor
    from runstead.platform.execution.script import ScriptPool
    from runstead.platform.observability import Health, Metrics, Redactor, Tracing, configure_logging
    from runstead.platform.secrets import Vault, open_master_keys
    from runstead.platform.storage.objects import open_objects
    from runstead.platform.storage.sql import Database, migrate

    data_dir, credentials = settings.storage.data_dir, settings.credentials
    stack.enter_context(data_folder(data_dir))
    token, token_file = admin_token(data_dir, credentials.admin_token)
    redactor = Redactor(*credentials, token)
    stack.callback(configure_logging(settings.observability, redactor, profile=settings.profile).close)
    db = await stack.enter_async_context(
        Database(settings.storage.database_url, readers=settings.storage.readers)
    )
    await migrate(db, migrations())
    command = settings.section("secrets").key_command
    master_keys = await open_master_keys(db, data_dir=data_dir, given=credentials.master_key, command=command)
    audit_key = await master_keys.server_key("audit")
    audit = Audit(db, key=audit_key, settings=settings.section("audit"), clock=db.clock)
    vault = Vault(
        db,
        keyring=master_keys.keyring,
        settings=settings.section("secrets"),
        trail=audit,
        masker=redactor,
        clock=db.clock,
    )
    pool = ScriptPool(workers=settings.execution.script_workers, sandbox=settings.execution.sandbox)
    tracing = None
    if (collector := settings.observability.otlp_endpoint) is not None:
        tracing = await stack.enter_async_context(Tracing(collector, redactor))
    return _Platform(
        db=db,
        objects=open_objects(settings.storage.objects_url),
        log_sealer=await master_keys.sealer("logs"),
        master_keys=master_keys,
        vault=vault,
        limiter=_limiter(settings, db, audit),
        audit=audit,
        accounts=await _accounts(settings, db, master_keys, vault, audit),
        pool=await stack.enter_async_context(pool),
        supervisor=Supervisor(),
        metrics=Metrics(),
        redactor=redactor,
        tracing=tracing,
        health=Health([_database_check(db)]),
        token=token,
        token_file=token_file,
    )


async def _accounts(settings: Settings, db: Any, master_keys: Any, vault: Any, trail: Any) -> Any:
    from runstead.platform.identity.accounts import open_accounts

    return open_accounts(
        db,
        settings=settings.section("identity"),
        sealer=await master_keys.sealer("identity"),
        trail=trail,
        secret=partial(vault.use, used_by="server:sign-in"),
    )


def _limiter(settings: Settings, db: Any, trail: Any) -> Any:
    from runstead.platform.limits import Limiter
    from runstead.platform.limits.settings import DEFAULT_RULES

    limits = settings.section("limits")
    rules = limits.rules
    if rules is None:
        rules = () if is_loopback(settings.server.host) else DEFAULT_RULES
    return Limiter(db, settings=limits, rules=rules, trail=trail, clock=db.clock)


def _capabilities(settings: Settings, parts: _Platform) -> Sequence[Capability]:
    """The five, each with what it asked for; logs first, for the others write to it."""
    from runstead.capabilities import apps, endpoints, jobs, logs, records

    db, registry = parts.db, parts.metrics.registry
    data_dir, sandbox = settings.storage.data_dir, settings.execution.sandbox
    loopback = is_loopback(settings.server.host)
    log_store = logs.capability(
        settings=settings.section("logs"),
        db=db,
        sealer=parts.log_sealer,
        registry=registry,
        trail=parts.audit,
        masker=parts.redactor,
    )
    sink = log_store.services["intake"]
    record_store = records.capability(
        settings=settings.section("records"), objects=parts.objects, loopback=loopback, registry=registry
    )
    app_host = apps.capability(
        settings=settings.section("apps"),
        db=db,
        pool=parts.pool,
        profile=settings.profile,
        logs=sink,
        trail=parts.audit,
    )
    endpoint_host = endpoints.capability(
        settings=settings.section("endpoints"),
        runs=settings.section("runs"),
        base_dir=settings.base_dir,
        data_dir=data_dir,
        db=db,
        supervisor=parts.supervisor,
        sandbox=sandbox,
        open_door=loopback and settings.credentials.master_password is None,
        redactor=_ByteRedactor(parts.redactor),
        logs=sink,
        registry=registry,
        environ=settings.environment,
    )
    job_host = jobs.capability(
        settings=settings.section("jobs"),
        base_dir=settings.base_dir,
        data_dir=data_dir,
        db=db,
        supervisor=parts.supervisor,
        sandbox=sandbox,
        shutdown_grace_seconds=settings.server.shutdown_grace_seconds,
        logs=sink,
        trail=parts.audit,
        environ=settings.environment,
    )
    return log_store, record_store, endpoint_host, app_host, job_host


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
