"""A server with people in it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
from argon2 import PasswordHasher

from runstead.kernel.capability import Capability
from runstead.kernel.clock import SystemClock
from runstead.platform.identity.accounts import Accounts, open_accounts
from runstead.platform.identity.oidc.provider import OpenSecret
from runstead.platform.identity.passwords import Passwords
from runstead.platform.identity.settings import IdentitySettings
from runstead.platform.identity.tables import MIGRATIONS
from runstead.platform.secrets import AesGcmSealer
from runstead.platform.storage.sql import Database, migrate
from runstead.testing.clock import FakeClock
from runstead.testing.scenario import AS_ADMINISTRATOR, running

PASSWORD = "violet-Kettle-27-harbour"
#: As strong as it must be for a test: a thousandth of the real cost.
LIGHT = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@dataclass
class Trail:
    """Keeps what is written down, also of works that are undone: tests look at what was meant to be written."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def note(self, action: str, **facts: Any) -> Any:
        entry = {"action": action, **facts}
        return lambda _connection: self.entries.append(entry)

    def actions(self) -> list[str]:
        return [entry["action"] for entry in self.entries]


@dataclass
class World:
    """A server with people, and somebody who may do everything."""

    accounts: Accounts
    clock: FakeClock
    trail: Trail
    administrator: httpx.AsyncClient
    stack: AsyncExitStack
    capabilities: tuple[Capability, ...] = ()
    routes: Sequence[Any] = ()

    async def browser(self, **headers: str) -> httpx.AsyncClient:
        """A client of its own, with its own cookies; it shows the token of its session, as the server's pages do."""
        client = await self.stack.enter_async_context(
            running(
                *self.capabilities,
                accounts=self.accounts,
                routes=self.routes,
                headers={"User-Agent": "Firefox/140.0", **headers},
            )
        )

        async def show_token(request: httpx.Request) -> None:
            if token := client.cookies.get("runstead-csrf"):
                request.headers.setdefault("X-CSRF-Token", token)

        client.event_hooks["request"].append(show_token)
        return client

    async def person(self, name: str, *roles: str) -> tuple[str, httpx.AsyncClient]:
        """Somebody new, signed in; their id and their browser."""
        user = await self.accounts.people.create(name=name, password=PASSWORD, roles=roles)
        browser = await self.browser()
        answer = await browser.post("/auth/login", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return user.id, browser

    def later(self, **duration: float) -> None:
        self.clock.advance(timedelta(**duration).total_seconds())
        # What is believed for some seconds is believed by the machine's clock.
        self.accounts.forget()


@asynccontextmanager
async def world_on(
    database: Database,
    *capabilities: Capability,
    routes: Sequence[Any] = (),
    migrations: Mapping[str, Path] = MappingProxyType({}),
    secret: OpenSecret | None = None,
    real_time: bool = False,
    **settings: Any,
) -> AsyncIterator[World]:
    """Put it together over an open database."""
    await migrate(database, {"identity": MIGRATIONS, **migrations})
    # A provider in another process knows no fake time.
    clock = FakeClock(SystemClock().now()) if real_time else FakeClock()
    trail = Trail()
    accounts = open_accounts(
        database,
        settings=IdentitySettings(**settings),
        sealer=AesGcmSealer(os.urandom(32)),
        trail=trail,
        passwords=Passwords(LIGHT),
        secret=secret,
        clock=clock,
    )
    async with AsyncExitStack() as stack:
        administrator = await stack.enter_async_context(
            running(*capabilities, accounts=accounts, routes=routes, headers=AS_ADMINISTRATOR)
        )
        yield World(accounts, clock, trail, administrator, stack, capabilities, routes)
