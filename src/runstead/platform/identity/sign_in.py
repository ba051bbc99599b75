"""Signing in with a name and a password, and a second factor where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from runstead.kernel.clock import Clock
from runstead.kernel.trail import Trail
from runstead.platform.identity.errors import LockedError, SecondFactorError, SignInError
from runstead.platform.identity.lockout import Lockout
from runstead.platform.identity.model import User, key_of
from runstead.platform.identity.passwords import Passwords
from runstead.platform.identity.people import People
from runstead.platform.identity.sessions import Sessions, SignedIn
from runstead.platform.identity.tables import users
from runstead.platform.identity.visitor import Visitor
from runstead.platform.storage.sql import Database


class SecondFactors(Protocol):
    """What somebody must show beside a password."""

    async def methods(self, user_id: str) -> Sequence[str]:
        """Those that this person has set up; none: the password is enough."""
        ...

    async def check(self, user_id: str, code: str) -> str | None:
        """The method that the code proves, used up by it; None: it proves nothing."""
        ...


class NoFactors:
    """Nobody has a second factor."""

    async def methods(self, user_id: str) -> Sequence[str]:
        return ()

    async def check(self, user_id: str, code: str) -> str | None:
        return None


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
        factors: SecondFactors,
        lockout: Lockout,
        trail: Trail,
        clock: Clock,
    ) -> None:
        self._db = db
        self._people = people
        self._sessions = sessions
        self._passwords = passwords
        self._factors = factors
        self._lockout = lockout
        self._trail = trail
        self._clock = clock

    async def with_password(
        self, name: str, password: str, visitor: Visitor, *, code: str | None = None
    ) -> tuple[User, SignedIn, str]:
        """Begin a session.

        :param code: of the second factor, where there is one.
        :returns: the person, the session, and its secret.
        :raises LockedError: too many failures of this address or for this name.
        :raises SignInError: the name, the password or the code is wrong; it does not say which.
        :raises SecondFactorError: the password is right, and a code is needed too.
        """
        user, method = await self.check(name, password, visitor, code=code)
        signed_in, secret = await self._sessions.begin(user.id, visitor, method=method)
        return user, signed_in, secret

    async def check(
        self, name: str, password: str, visitor: Visitor, *, code: str | None = None
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
        method = await self._second(user, code, name, keys)
        for key in keys:
            self._lockout.succeeded(key)
        if stored is not None and self._passwords.is_outdated(stored):
            await self._rehash(user, password)
        await self._write_down("success", name, method, user)
        return user, method

    async def _second(self, user: User, code: str | None, name: str, keys: Sequence[str]) -> str:
        methods = await self._factors.methods(user.id)
        if not methods:
            return "password"
        if code is None:
            # Half a proof is no failure; the attempt that was counted is given back.
            for key in keys:
                self._lockout.succeeded(key)
            raise SecondFactorError(details={"methods": list(methods)})
        proved = await self._factors.check(user.id, code)
        if proved is None:
            await self._write_down("failure", name, "second factor", user)
            raise SignInError("That code does not fit.")
        return f"password+{proved}"

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
