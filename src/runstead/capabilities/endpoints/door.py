"""Who may call: the one permission check, and the lock against guessing."""

from __future__ import annotations

from runstead.capabilities.endpoints.errors import LockedError
from runstead.kernel.clock import Clock
from runstead.kernel.errors import UnauthorizedError
from runstead.platform.identity import Actor, Lockout, Resource, require


class Door:
    """Admits callers. ``open_door``: there is no password, so whoever reaches the (loopback) address may call."""

    def __init__(self, *, open_door: bool, lockout: Lockout, clock: Clock) -> None:
        self._open = open_door
        self._lockout = lockout
        self._clock = clock

    def admit(self, actor: Actor, address: str, endpoint: str) -> None:
        """Let a caller pass, or say why not. Never awaits: between looking at the lock and counting no other guess is tried.

        :raises LockedError: while the address is locked, also for the right password: a guesser must learn nothing.
        :raises UnauthorizedError: no credential, or a wrong one; counted.
        :raises ForbiddenError: a valid credential that is not for this.
        """
        if self._open:
            return
        now = self._clock.monotonic()
        if seconds := self._lockout.locked_for(address, now):
            raise LockedError(seconds)
        try:
            require(actor, "endpoints.call", Resource("endpoint", endpoint))
        except UnauthorizedError:
            self._lockout.failed(address, now)
            raise
        self._lockout.succeeded(address)
