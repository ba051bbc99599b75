"""From the credential in a request to the actor behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runstead.kernel.secret import Secret
from runstead.platform.identity.actor import ADMINISTRATOR, ANONYMOUS, OPERATOR, Actor

Headers = Sequence[tuple[bytes, bytes]]

#: Where credentials come from; a request without any of them is anonymous.
CREDENTIAL_HEADERS: Final = frozenset({b"authorization", b"x-admin-token", b"x-master-password"})


def _text(value: bytes) -> str:
    # Clients disagree on how to send a password beyond ASCII; most of them send UTF-8.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class Identity:
    """Knows the two machine credentials. Each may come as a bearer token or in a header of its own.

    A credential that is wrong makes the request anonymous rather than failed: only the guard of the route knows
    whether one was needed. Every comparison takes the same time whether it matches or not.
    """

    def __init__(self, *, admin_token: Secret | None = None, master_password: Secret | None = None) -> None:
        self._admin_token = admin_token
        self._master_password = master_password

    def authenticate(self, headers: Headers, client: object = None) -> Actor:
        """Find the actor.

        :param headers: raw ASGI headers; names are lower-case.
        :param client: the peer's address, for accounts that are bound to one.
        """
        found = ANONYMOUS
        for name, value in headers:
            if name not in CREDENTIAL_HEADERS:
                continue
            actor = self._actor_of(name, _text(value))
            if actor is ADMINISTRATOR:
                return actor
            if actor is not None:
                found = actor
        return found

    def _actor_of(self, name: bytes, value: str) -> Actor | None:
        if name == b"authorization":
            scheme, _, token = value.partition(" ")
            if scheme.lower() != "bearer":
                return None
            token = token.strip()
            return self._administrator(token) or self._operator(token)
        return self._administrator(value) if name == b"x-admin-token" else self._operator(value)

    def _administrator(self, candidate: str) -> Actor | None:
        return ADMINISTRATOR if self._admin_token and self._admin_token.matches(candidate) else None

    def _operator(self, candidate: str) -> Actor | None:
        return OPERATOR if self._master_password and self._master_password.matches(candidate) else None
