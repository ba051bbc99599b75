"""Signing in with a name and a password, and a second factor where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstead.kernel.clock import Clock
from runstead.kernel.trail import Trail
from runstead.platform.identity.devices import Devices
from runstead.platform.identity.errors import LockedError, SecondFactorError, SignInError
from runstead.platform.identity.factors import Factors
from runstead.platform.identity.factors.passkeys import Site
from runstead.platform.identity.lockout import Lockout
from runstead.platform.identity.model import User, key_of
from runstead.platform.identity.passwords import Passwords
from runstead.platform.identity.people import People
from runstead.platform.identity.sessions import Sessions, SignedIn
from runstead.platform.identity.tables import users
from runstead.platform.identity.visitor import Visitor
from runstead.platform.storage.sql import Database


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """What a browser answers to a challenge."""

    site: Site
    state: str
    credential: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Beside:
    """What was shown beside a password."""

    #: A one-time or recovery code.
    code: str | None = None
    passkey: PasskeyAnswer | None = None
    #: The secret of the browser.
    device: str = ""


NOTHING: Final = Beside()


class SignIn:
    """Checks who somebody is.

    Guessing is slowed down by address and by account, each doubling: a guesser with many addresses meets the lock of the
    account, one with many names that of the address. While a lock holds, the right password is refused too. Each attempt is
    counted before it is checked, so that many at once get no more tries than one after the other.
    """

    def __init__(
        self,
        *,
        db: Database,
        people: People,
        sessions: Sessions,
        passwords: Passwords,
        factors: Factors,
        devices: Devices,
        lockout: Lockout,
        trail: Trail,
        clock: Clock,
    ) -> None:
        self._db = db
        self._people = people
        self._sessions = sessions
        self._passwords = passwords
        self._factors = factors
        self._devices = devices
        self._lockout = lockout
        self._trail = trail
        self._clock = clock

    async def with_password(
        self, name: str, password: str, visitor: Visitor, beside: Beside = NOTHING
    ) -> tuple[User, SignedIn, str]:
        """Begin a session.

        :param beside: the second factor, where there is one.
        :returns: the person, the session, and its secret.
        :raises LockedError: too many failures of this address or for this name.
        :raises SignInError: the name, the password or the code is wrong; it does not say which.
        :raises SecondFactorError: the password is right, and a code is needed too.
        """
        user, method = await self.check(name, password, visitor, beside)
        signed_in, secret = await self._sessions.begin(user.id, visitor, method=method)
        return user, signed_in, secret

    async def with_passkey(self, answer: PasskeyAnswer, visitor: Visitor) -> tuple[User, SignedIn, str]:
        """Begin a session without a password: a passkey asks for a finger or a code itself.

        :raises LockedError: too many failures of this address.
        :raises SignInError: it proves nothing.
        """
        now = self._clock.monotonic()
        if seconds := self._lockout.locked_for(visitor.address, now):
            raise LockedError(seconds)
        self._lockout.failed(visitor.address, now)
        user_id = await self._factors.finish_sign_in(answer.site, answer.state, answer.credential)
        user = await self._people.get(user_id)
        if user.disabled:
            await self._write_down("failure", user.name, "disabled", user)
            raise SignInError
        self._lockout.succeeded(visitor.address)
        await self._write_down("success", user.name, "passkey", user)
        signed_in, secret = await self._sessions.begin(user.id, visitor, method="passkey")
        return user, signed_in, secret

    async def check(
        self, name: str, password: str, visitor: Visitor, beside: Beside = NOTHING
    ) -> tuple[User, str]:
        """The proof alone, without a session: for a step-up. Raises as :meth:`with_password`; returns the method."""
        keys = (visitor.address, f"account {key_of(name)[:254]}")
        now = self._clock.monotonic()
        if seconds := max(self._lockout.locked_for(key, now) for key in keys):
            await self._write_down("denied", name, "locked")
            raise LockedError(seconds)
        for key in keys:
            self._lockout.failed(key, now)
        found = await self._people.find(name)
        user, stored = found or (None, None)
        fits = await self._passwords.verify(password, stored)
        if user is None or not fits or user.disabled:
            await self._write_down(
                "failure", name, "disabled" if user and user.disabled and fits else "password"
            )
            raise SignInError
        method = await self._second(user, beside, name, keys)
        for key in keys:
            self._lockout.succeeded(key)
        if stored is not None and self._passwords.is_outdated(stored):
            await self._rehash(user, password)
        await self._write_down("success", name, method, user)
        return user, method

    async def _second(self, user: User, beside: Beside, name: str, keys: Sequence[str]) -> str:
        methods = await self._factors.methods(user.id)
        if not methods:
            return "password"
        if beside.device and await self._devices.is_trusted(user.id, beside.device):
            return "password+device"
        if beside.code is None and beside.passkey is None:
            # Half a proof is no failure. Only this attempt is given back: codes that were guessed before stay counted.
            for key in keys:
                self._lockout.forgive(key)
            raise SecondFactorError(details={"methods": list(methods)})
        proved = await self._proved(user, beside)
        if proved is None:
            await self._write_down("failure", name, "second factor", user)
            raise SignInError("That code does not fit.")
        return f"password+{proved}"

    async def _proved(self, user: User, beside: Beside) -> str | None:
        if beside.passkey is not None:
            answer = beside.passkey
            user_id = await self._factors.finish_sign_in(answer.site, answer.state, answer.credential)
            return "passkey" if user_id == user.id else None
        return await self._factors.check(user.id, beside.code or "")

    async def _rehash(self, user: User, password: str) -> None:
        hashed = await self._passwords.hash(password)
        update = users.update().where(users.c.id == user.id).values(password=hashed)
        await self._db.write(lambda connection: connection.execute(update).rowcount)

    async def _write_down(self, outcome: Any, name: str, detail: str, user: User | None = None) -> None:
        # A name that nobody has may be a password typed into the wrong field.
        details = {"how": detail} | ({"name": user.name} if user else {})
        traced = self._trail.note(
            "identity.login",
            outcome=outcome,
            actor=f"user:{user.id}" if user else "anonymous",
            details=details,
        )
        await self._db.write(traced)
