"""Everything about people, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from runstead.kernel.background import background
from runstead.kernel.clock import Clock
from runstead.kernel.errors import NotFoundError
from runstead.kernel.secret import Secret
from runstead.kernel.trail import NoTrail, Trail
from runstead.platform.identity.actor import ROLE_ADMINISTRATOR
from runstead.platform.identity.challenges import Challenges
from runstead.platform.identity.devices import Devices
from runstead.platform.identity.factors import Factors
from runstead.platform.identity.groups import Groups
from runstead.platform.identity.links import Links, link_path
from runstead.platform.identity.lockout import Lockout
from runstead.platform.identity.oidc import Providers
from runstead.platform.identity.oidc.linking import Linking
from runstead.platform.identity.oidc.provider import OpenSecret
from runstead.platform.identity.passwords import Passwords
from runstead.platform.identity.people import People
from runstead.platform.identity.ports import Sealer
from runstead.platform.identity.sessions import Sessions
from runstead.platform.identity.settings import IdentitySettings
from runstead.platform.identity.sign_in import SignIn
from runstead.platform.identity.tokens import Tokens
from runstead.platform.storage.sql import Database

log = logging.getLogger(__name__)

#: Seconds between two removals of sessions that have expired.
SWEEP_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The services over the tables of people."""

    settings: IdentitySettings
    people: People
    groups: Groups
    sessions: Sessions
    tokens: Tokens
    links: Links
    sign_in: SignIn
    factors: Factors
    devices: Devices
    challenges: Challenges
    providers: Providers
    passwords: Passwords
    sealer: Sealer
    lockout: Lockout
    clock: Clock

    def forget(self) -> None:
        """Rights have changed: look everybody up again."""
        self.sessions.forget()
        self.tokens.forget()

    async def setup_path(self) -> str | None:
        """Where the first administrator is made: a new one-time link, or None when there is an administrator."""
        if await self.people.has_administrator():
            return None
        _link, text = await self.links.create("setup", by="server", roles=[ROLE_ADMINISTRATOR])
        return link_path("setup", text)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Remove what has expired, now and then."""
        async with background(self._sweep(), "accounts"):
            yield

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sessions.sweep()
                await self.devices.sweep()
            except Exception:
                log.exception("expired sessions could not be removed")


def _lockout(settings: IdentitySettings) -> Lockout:
    return Lockout(
        attempts=settings.lockout_attempts,
        first_seconds=settings.lockout_first_seconds,
        longest_seconds=settings.lockout_longest_seconds,
    )


async def _no_secret(secret_id: str) -> Secret:
    raise NotFoundError(f"there is no vault that could hold {secret_id!r}")


def open_accounts(
    db: Database,
    *,
    settings: IdentitySettings,
    sealer: Sealer,
    trail: Trail | None = None,
    passwords: Passwords | None = None,
    secret: OpenSecret | None = None,
    clock: Clock | None = None,
) -> Accounts:
    """Put the services together. No I/O.

    :param secret: opens the client secrets of providers by their ids.
    """
    clock, trail = clock or db.clock, trail or NoTrail()
    passwords = passwords or Passwords(breached=settings.breached_passwords)
    lockout = _lockout(settings)
    people = People(db, passwords=passwords, trail=trail, clock=clock)
    challenges = Challenges(db, sealer=sealer, clock=clock)
    factors = Factors(db, sealer=sealer, challenges=challenges, trail=trail, clock=clock)
    devices = Devices(db, trust_days=settings.trust_days, trail=trail, clock=clock)
    linking = Linking(db, people=people, trail=trail, clock=clock)
    providers = Providers(
        db,
        settings=settings.providers,
        challenges=challenges,
        linking=linking,
        secret=secret or _no_secret,
        trail=trail,
        clock=clock,
    )
    sessions = Sessions(db, settings=settings, trail=trail, clock=clock)
    return Accounts(
        settings=settings,
        people=people,
        groups=Groups(db, trail=trail, clock=clock),
        sessions=sessions,
        tokens=Tokens(db, days_max=settings.token_days_max, trail=trail, clock=clock),
        links=Links(db, people=people, hours=settings.link_hours, trail=trail, clock=clock),
        sign_in=SignIn(
            db=db,
            people=people,
            sessions=sessions,
            passwords=passwords,
            factors=factors,
            devices=devices,
            lockout=lockout,
            trail=trail,
            clock=clock,
        ),
        factors=factors,
        devices=devices,
        challenges=challenges,
        providers=providers,
        passwords=passwords,
        sealer=sealer,
        lockout=lockout,
        clock=clock,
    )
