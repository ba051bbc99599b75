"""The houses of tenants: where each is built, and of what."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import sqlalchemy as sa

from runstead.assembly import Extension, OpenHouse, Parts, Shared, is_loopback, open_house
from runstead.kernel.capability import ASGIApp
from runstead.kernel.secret import Secret
from runstead.platform.config import Credentials, Settings

#: What a tenant's programs may see of the server's environment.
_PASSED_ON: Final = ("PATH", "LANG", "TZ")


def tenancy(settings: Settings, shared: Shared) -> Extension | None:
    """What the house itself needs to serve tenants; None when it serves none."""
    section = settings.section("tenants")
    if not section.enabled:
        return None

    def extend(parts: Parts) -> tuple[Sequence[Any], Callable[[ASGIApp], ASGIApp], Sequence[Any]]:
        from runstead.platform.tenancy import TenantDoor, Tenants
        from runstead.platform.tenancy.http import tenant_routes

        grounds = TenantGrounds(settings, shared, parts)
        tenants = Tenants(
            parts.db, settings=section, grounds=grounds, trail=parts.audit, clock=parts.db.clock
        )
        routes = [tenant_routes(tenants, parts.db, parts.audit)]
        return routes, partial(TenantDoor, tenants=tenants), [tenants.opened()]

    return extend


class TenantGrounds:
    """Each tenant has a folder; beside SQLite files in it, a schema of the PostgreSQL database, a prefix of the bucket."""

    def __init__(self, settings: Settings, shared: Shared, parts: Parts) -> None:
        self._settings = settings
        self._shared = shared
        self._parts = parts
        data_dir = settings.storage.data_dir
        self._root: Path = settings.section("tenants").folder or data_dir.with_name(
            f"{data_dir.name}-tenants"
        )

    @asynccontextmanager
    async def open(self, tenant: Any) -> AsyncIterator[OpenHouse]:
        """Open the house of a tenant."""
        settings = self._settings_of(tenant.name)
        for folder in (settings.storage.data_dir, settings.base_dir):
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True, mode=0o700)
        if self._parts.db.dialect == "postgresql":
            await self._parts.db.change_schema(
                lambda connection: connection.execute(
                    sa.schema.CreateSchema(_schema(tenant.name), if_not_exists=True)
                )
            )
        rate = settings.section("tenants").tiers.get(tenant.tier, "")
        async with open_house(settings, self._shared, tenant=tenant.name, rate=rate) as house:
            yield house

    async def clear(self, name: str) -> None:
        """Remove everything of a tenant that is closed."""
        if self._parts.db.dialect == "postgresql":
            from runstead.capabilities.apps import remove_all_databases

            url = self._settings_of(name).storage.database_url
            await asyncio.to_thread(remove_all_databases, url)
            await self._parts.db.change_schema(
                lambda connection: connection.execute(
                    sa.schema.DropSchema(_schema(name), cascade=True, if_exists=True)
                )
            )
        settings = self._settings_of(name)
        if "://" in settings.storage.objects_url:
            await _empty(settings.storage.objects_url)
        await asyncio.to_thread(shutil.rmtree, self._root / name, ignore_errors=True)

    def _settings_of(self, name: str) -> Settings:
        """The server's settings, without anything that is the server's own: credentials, programs, providers, folders of apps."""
        settings, folder = self._settings, self._root / name
        data_dir, files = folder / "data", folder / "files"
        objects = settings.storage.objects_url
        storage = msgspec.structs.replace(
            settings.storage,
            data_dir=data_dir,
            database_url=self._database_url(data_dir, name),
            objects_url=f"{objects.rstrip('/')}-tenants/{name}"
            if "://" in objects
            else str(data_dir / "objects"),
        )
        replace = msgspec.structs.replace
        section = settings.section
        sections = {
            **settings.sections,
            "endpoints": [],
            "apps": replace(section("apps"), folders=()),
            "runs": replace(section("runs"), folder=None),
            "jobs": replace(section("jobs"), working_dir=files, env=()),
            "identity": replace(section("identity"), providers=()),
            # A token that nobody has: people of the tenant come by their own credentials.
            "records": replace(section("records"), auth_mode="token", ingest_token=Secret(_random())),
        }
        server = settings.server
        # Where every host name is answered, it is so for tenants that are named by a header, too.
        checked = bool(server.allowed_hosts) or is_loopback(server.host)
        if checked and (domain := section("tenants").domain):
            server = replace(server, allowed_hosts=(*server.allowed_hosts, f"{name}.{domain}"))
        return dataclasses.replace(
            settings,
            base_dir=files,
            server=server,
            storage=storage,
            sections=sections,
            credentials=Credentials(master_key=settings.credentials.master_key),
            environment={key: settings.environment[key] for key in _PASSED_ON if key in settings.environment},
        )

    def _database_url(self, data_dir: Path, name: str) -> str:
        if self._parts.db.dialect == "sqlite":
            return f"sqlite:///{data_dir / 'runstead.db'}"
        url = self._settings.storage.database_url
        return f"{url}{'&' if '?' in url else '?'}options={quote(f'-csearch_path={_schema(name)}')}"


def _schema(name: str) -> str:
    return f"tenant_{name.replace('-', '_')}"


def _random() -> str:
    import secrets

    return secrets.token_urlsafe(32)


async def _empty(objects_url: str) -> None:
    from runstead.platform.storage.objects import open_objects

    objects = open_objects(objects_url)
    while found := await objects.list(""):
        for info in found:
            await objects.delete(info.key)
