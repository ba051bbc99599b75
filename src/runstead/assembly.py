"""One house: the platform's parts, the five capabilities, and the application over them. The server itself is one; each tenant is
another, over a database, objects and people of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstead.catalogue import migrations
from runstead.kernel.capability import ASGIApp, Capability, HealthCheck
from runstead.platform.config import Settings

if TYPE_CHECKING:
    from runstead.kernel.secret import Secret
    from runstead.platform.observability import Health


#: Seconds between two looks at folders of apps, where somebody develops them.
WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all houses of a process use together; nothing in it is anybody's."""

    pool: Any
    supervisor: Any
    redactor: Any
    tracing: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the capabilities of a house are built on."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHouse:
    """A house while it is open."""

    app: ASGIApp
    parts: Parts
    services: Mapping[str, Any]

    @property
    def db(self) -> Any:
        return self.parts.db

    @property
    def objects(self) -> Any:
        return self.parts.objects

    async def setup_path(self) -> str | None:
        """The path that makes the first administrator; None when there is one."""
        path: str | None = await self.parts.accounts.setup_path()
        return path

    async def usage(self, since: str) -> Sequence[Any]:
        """Requests by hour."""
        found: Sequence[Any] = await self.parts.limiter.usage.report(since=since)
        return found


#: Makes what a house has beyond its own parts: routes, and a layer around the application.
Extension = Callable[[Parts], tuple[Sequence[Any], Callable[[ASGIApp], ASGIApp], Sequence[Any]]]


@asynccontextmanager
async def open_shared(settings: Settings, redactor: Any) -> AsyncIterator[Shared]:
    """The script workers and the tracing."""
    from runstead.platform.execution.process import Supervisor
    from runstead.platform.execution.script import ScriptPool
    from runstead.platform.observability import Tracing

    async with AsyncExitStack() as stack:
        tracing = None
        if (collector := settings.observability.otlp_endpoint) is not None:
            tracing = await stack.enter_async_context(Tracing(collector, redactor))
        supervisor = Supervisor()
        stack.callback(supervisor.close)
        await supervisor.prepare()
        pool = ScriptPool(workers=settings.execution.script_workers, sandbox=settings.execution.sandbox)
        yield Shared(
            pool=await stack.enter_async_context(pool),
            supervisor=supervisor,
            redactor=redactor,
            tracing=tracing,
        )


@asynccontextmanager
async def open_house(
    settings: Settings, shared: Shared, *, tenant: str = "", rate: str = "", extend: Extension | None = None
) -> AsyncIterator[OpenHouse]:
    """Open everything in the order of who needs whom, and close it in reverse. The data folder is the caller's.

    :param tenant: whose house it is; empty: the server's own.
    :param rate: of the tenant's plan; empty: none.
    """
    from runstead.capabilities import endpoints, jobs
    from runstead.platform.storage.sql import Outbox

    async with AsyncExitStack() as stack:
        parts = await _open_parts(settings, shared, stack, tenant=tenant, rate=rate)
        capabilities = _capabilities(settings, parts, open_doors=not tenant)
        services = {name: one for capability in capabilities for name, one in capability.services.items()}
        routes, around, lifespans = extend(parts) if extend else ((), lambda app: app, ())
        app = around(_application(settings, parts, capabilities, [*routes, _privacy(parts, capabilities)]))
        for part in (parts.audit, parts.accounts, parts.master_keys, parts.vault, parts.limiter):
            await stack.enter_async_context(part.opened())
        for capability in capabilities:
            if capability.lifespan is not None:
                await stack.enter_async_context(capability.lifespan())
        recorder = services["results"].handle
        await stack.enter_async_context(Outbox(parts.db, {jobs.TOPIC: recorder, endpoints.TOPIC: recorder}))
        for lifespan in lifespans:
            await stack.enter_async_context(lifespan)
        yield OpenHouse(app=app, parts=parts, services=services)


def _privacy(parts: Parts, capabilities: Sequence[Capability]) -> Any:
    from runstead.platform.privacy import Privacy, platform_data
    from runstead.platform.privacy.http import privacy_routes

    own = platform_data(parts.db, accounts=parts.accounts, vault=parts.vault, audit=parts.audit)
    holders = [*(one.personal for one in capabilities if one.personal is not None), *own]
    return privacy_routes(Privacy(parts.db, holders=holders, people=parts.accounts.people, trail=parts.audit))


def _application(
    settings: Settings, parts: Parts, capabilities: Sequence[Capability], routes: Sequence[Any]
) -> ASGIApp:
    from runstead.platform.audit.denials import Denials
    from runstead.platform.audit.http import audit_routes, history_route
    from runstead.platform.http import build_app
    from runstead.platform.identity import Identity
    from runstead.platform.identity.http import identity_routes
    from runstead.platform.limits.http import limit_routes
    from runstead.platform.limits.middleware import RateLimits
    from runstead.platform.secrets.http import secret_routes

    return build_app(
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
            history_route(parts.audit),
            limit_routes(parts.limiter),
            secret_routes(parts.vault, parts.master_keys, parts.audit),
            *routes,
        ],
        tracing=parts.tracing,
        witness=Denials(parts.audit),
        redactor=parts.redactor,
        rates=partial(RateLimits, limiter=parts.limiter),
    )


async def _open_parts(
    settings: Settings, shared: Shared, stack: AsyncExitStack, *, tenant: str, rate: str
) -> Parts:
    from runstead.data_folder import admin_token
    from runstead.platform.audit import Audit
    from runstead.platform.observability import Health, Metrics
    from runstead.platform.secrets import Vault, open_master_keys
    from runstead.platform.storage.objects import open_objects
    from runstead.platform.storage.sql import Database, migrate

    data_dir, credentials = settings.storage.data_dir, settings.credentials
    token, token_file = admin_token(data_dir, credentials.admin_token)
    redactor = shared.redactor
    redactor.register(token)
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
    return Parts(
        db=db,
        objects=open_objects(settings.storage.objects_url),
        log_sealer=await master_keys.sealer("logs"),
        master_keys=master_keys,
        vault=vault,
        limiter=_limiter(settings, db, audit, tenant=tenant, rate=rate),
        audit=audit,
        accounts=await _accounts(settings, db, master_keys, vault, audit),
        pool=shared.pool,
        supervisor=shared.supervisor,
        metrics=Metrics(),
        redactor=redactor,
        tracing=shared.tracing,
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


def _limiter(settings: Settings, db: Any, trail: Any, *, tenant: str, rate: str) -> Any:
    from runstead.platform.limits import Limiter, Rule
    from runstead.platform.limits.settings import DEFAULT_RULES

    limits = settings.section("limits")
    rules = limits.rules
    if rules is None:
        rules = () if is_loopback(settings.server.host) else DEFAULT_RULES
    if rate:
        rules = (*rules, Rule(name="plan", by="tenant", limit=rate))
    return Limiter(db, settings=limits, rules=rules, trail=trail, clock=db.clock, namespace=tenant)


def _capabilities(settings: Settings, parts: Parts, *, open_doors: bool) -> Sequence[Capability]:
    """The five, each with what it asked for; logs first, for the others write to it."""
    from runstead.capabilities import endpoints, jobs, logs, records

    db, registry = parts.db, parts.metrics.registry
    data_dir, sandbox = settings.storage.data_dir, settings.execution.sandbox
    # On loopback whoever reaches the server is its owner; a tenant's house has several owners on one machine.
    loopback = open_doors and is_loopback(settings.server.host)
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
    app_host = _app_host(settings, parts, sink)
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
        vault=parts.vault,
        secrets_as=settings.execution.secrets,
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
        secrets=parts.vault,
        secrets_as=settings.execution.secrets,
    )
    return log_store, record_store, endpoint_host, app_host, job_host


def _app_host(settings: Settings, parts: Parts, logs: Any) -> Capability:
    from runstead.capabilities import apps

    return apps.capability(
        settings=settings.section("apps"),
        db=parts.db,
        pool=parts.pool,
        profile=settings.profile,
        logs=logs,
        trail=parts.audit,
        release=_release_app,
        secrets=parts.vault,
        masker=parts.redactor,
        data_dir=settings.storage.data_dir,
        database_url=settings.storage.database_url,
        watch_seconds=WATCH_SECONDS if settings.profile == "dev" else None,
    )


def _release_app(connection: Any, app_id: str) -> None:
    from runstead.platform.identity.groups import release
    from runstead.platform.secrets.store import remove_scope

    release(connection, "app", app_id)
    remove_scope(connection, f"app:{app_id}")


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
