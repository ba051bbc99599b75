"""Tenants: made, opened, closed, removed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from runstead.kernel.capability import ASGIApp
from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import BadRequestError
from runstead.kernel.trail import Trail
from runstead.platform.identity.asking import asking
from runstead.platform.storage.sql import Database
from runstead.platform.tenancy.model import (
    RESERVED,
    Tenant,
    TenantDisabledError,
    TenantExistsError,
    TenantNotFoundError,
    TenantUnavailableError,
)
from runstead.platform.tenancy.settings import TenancySettings
from runstead.platform.tenancy.tables import tenants

log = logging.getLogger(__name__)


class House(Protocol):
    """An open tenant."""

    @property
    def app(self) -> ASGIApp: ...
    @property
    def db(self) -> Database: ...
    @property
    def objects(self) -> Any: ...
    async def setup_path(self) -> str | None:
        """The link that makes the first administrator."""
        ...

    async def usage(self, since: str) -> Sequence[Any]:
        """Requests by hour."""
        ...


class Grounds(Protocol):
    """Where houses are built: opens them, and clears away what is left of one."""

    def open(self, tenant: Tenant) -> AbstractAsyncContextManager[House]: ...
    async def clear(self, name: str) -> None: ...


@dataclass(slots=True)
class _Open:
    house: House
    stop: asyncio.Event
    task: asyncio.Task[None]


class Tenants:
    """The list of tenants, and those that are open.

    Isolation: a tenant's services are built over a database (a file, or a schema of PostgreSQL) that holds nothing of anybody
    else. There is no query to forget a condition in: one without a tenant has no database to run on.
    Failure: a tenant that cannot be opened answers 503 and is logged; the others go on.
    """

    def __init__(
        self, db: Database, *, settings: TenancySettings, grounds: Grounds, trail: Trail, clock: Clock
    ) -> None:
        self.settings = settings
        self._db = db
        self._grounds = grounds
        self._trail = trail
        self._clock = clock
        self._known: dict[str, Tenant] = {}
        self._open: dict[str, _Open] = {}
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open every tenant, and close them at the end."""
        for tenant in await self._read():
            self._known[tenant.name] = tenant
            if not tenant.disabled:
                with contextlib.suppress(TenantUnavailableError):
                    await self._start(tenant)
        try:
            yield
        finally:
            for name in list(self._open):
                await self._stop(name)

    def app_of(self, name: str) -> ASGIApp:
        """Who answers for a tenant.

        :raises TenantNotFoundError: there is none.
        :raises TenantDisabledError: it is switched off.
        :raises TenantUnavailableError: it could not be opened.
        """
        return self.house(name).app

    def house(self, name: str) -> House:
        """The open house of a tenant; raises as :meth:`app_of`."""
        tenant = self.get(name)
        if tenant.disabled:
            raise TenantDisabledError
        if name not in self._open:
            raise TenantUnavailableError
        return self._open[name].house

    def get(self, name: str) -> Tenant:
        """:raises TenantNotFoundError: there is none."""
        if name not in self._known:
            raise TenantNotFoundError(f"there is no tenant {name[:64]!r}")
        return self._known[name]

    def list(self) -> Sequence[Tenant]:
        """All, by name."""
        return [self._known[name] for name in sorted(self._known)]

    async def create(self, name: str, *, title: str = "", tier: str = "") -> tuple[Tenant, str | None]:
        """Make a tenant and open it.

        :returns: the tenant, and the link that makes its first administrator.
        :raises TenantExistsError: the name is taken, or there are too many.
        :raises BadRequestError: the name is reserved, or there is no such tier.
        """
        if name in RESERVED:
            raise BadRequestError(f"{name!r} would be taken for the server itself")
        self._check_tier(tier)
        now = self._clock.now()
        tenant = Tenant(
            name=name, title=title, tier=tier, disabled=False, created_at=now, created_by=asking().actor
        )
        traced = self._trail.note("tenant.create", resource=f"tenant:{name}", details={"tier": tier})
        async with self._turn:
            if name in self._known or len(self._known) >= self.settings.tenants_max:
                raise TenantExistsError
            values = {
                "name": name,
                "title": title,
                "tier": tier,
                "disabled": False,
                "created_at": rfc3339(now),
                "created_by": tenant.created_by,
            }

            def work(connection: sa.Connection) -> None:
                connection.execute(tenants.insert().values(**values))
                traced(connection)

            # What an earlier one of that name has left must not become the new one's.
            await self._grounds.clear(name)
            await self._db.write(work)
            self._known[name] = tenant
            await self._start(tenant)
        return tenant, await self._open[name].house.setup_path()

    async def change(
        self, name: str, *, title: str | None = None, tier: str | None = None, disabled: bool | None = None
    ) -> Tenant:
        """Change what is given. Another tier holds at once; a tenant that is switched off is closed."""
        self._check_tier(tier or "")
        given = {"title": title, "tier": tier, "disabled": disabled}
        values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        traced = self._trail.note("tenant.change", resource=f"tenant:{name}", details=values)
        async with self._turn:
            before = self.get(name)

            def work(connection: sa.Connection) -> Tenant:
                if values:
                    connection.execute(tenants.update().where(tenants.c.name == name).values(**values))
                    traced(connection)
                return _tenant(connection.execute(tenants.select().where(tenants.c.name == name)).one())

            tenant = self._known[name] = await self._db.write(work)
            if (tenant.disabled, tenant.tier) != (before.disabled, before.tier):
                await self._stop(name)
                if not tenant.disabled:
                    await self._start(tenant)
        return tenant

    async def remove(self, name: str) -> None:
        """Close a tenant and remove everything of it, for good.

        :raises TenantNotFoundError: there is none.
        """
        traced = self._trail.note("tenant.delete", resource=f"tenant:{name}")
        async with self._turn:
            self.get(name)
            await self._stop(name)
            await self._grounds.clear(name)

            def work(connection: sa.Connection) -> None:
                connection.execute(tenants.delete().where(tenants.c.name == name))
                traced(connection)

            await self._db.write(work)
            del self._known[name]

    def _check_tier(self, tier: str) -> None:
        if tier and tier not in self.settings.tiers:
            allowed = ", ".join(sorted(self.settings.tiers)) or "none is set in tenants.tiers"
            raise BadRequestError(f"found the tier {tier!r}, allowed: {allowed}")

    async def _read(self) -> Sequence[Tenant]:
        query = tenants.select().order_by(tenants.c.name)
        return await self._db.read(lambda connection: [_tenant(row) for row in connection.execute(query)])

    async def _start(self, tenant: Tenant) -> None:
        """A task of its own holds the house open: what it begins must end in the same one."""
        ready: asyncio.Future[House] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()

        async def live() -> None:
            try:
                async with self._grounds.open(tenant) as house:
                    ready.set_result(house)
                    await stop.wait()
            except Exception as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        task = asyncio.create_task(live(), name=f"tenant {tenant.name}")
        try:
            self._open[tenant.name] = _Open(await ready, stop, task)
        except Exception as error:
            log.exception("the tenant %s cannot be opened", tenant.name)
            raise TenantUnavailableError from error

    async def _stop(self, name: str) -> None:
        one = self._open.pop(name, None)
        if one is None:
            return
        one.stop.set()
        try:
            await one.task
        except Exception:
            log.exception("the tenant %s did not close as it should", name)


def _tenant(row: sa.Row[Any]) -> Tenant:
    return Tenant(
        name=row.name,
        title=row.title,
        tier=row.tier,
        disabled=bool(row.disabled),
        created_at=parse_rfc3339(row.created_at),
        created_by=row.created_by,
    )
