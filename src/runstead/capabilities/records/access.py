"""Who may write and read records. Independent of the HTTP host, so that every way to run decides the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from runstead.kernel.secret import Secret
from runstead.platform.identity import Actor, Resource, allow, require

WRITE: Final = "records.write"
READ: Final = "records.read"
REINDEX: Final = "records.reindex"

#: What the modes are about; everything else is the platform's permission check alone.
_SHARED: Final = (WRITE, READ)

#: Whoever sends the shared token.
TOKEN_HOLDER: Final = Actor("machine", "records-ingest")


class Access:
    """Three may: whom the platform's permission check lets; the holder of the shared token in mode ``token``; and in mode
    ``none`` everyone, as long as nobody but this machine can reach the server."""

    def __init__(
        self, *, mode: Literal["none", "token", "jwt"], token: Secret | None, loopback: bool
    ) -> None:
        """Decide from the settings.

        :param loopback: the server listens on loopback addresses only.
        """
        self._open = mode == "none" and loopback
        self._token = token if mode == "token" else None

    def admit(self, actor: Actor, action: str, authorization: str | None, scope: Sequence[str] = ()) -> Actor:
        """Who is acting in the end.

        :param scope: organization, project and service, where they are known: a grant may be on each, and on what is above it.
        :param authorization: the header of that name.
        :raises UnauthorizedError: nobody that we know.
        :raises ForbiddenError: somebody who may not.
        """
        for depth in range(1, len(scope) + 1):
            if allow(actor, action, Resource("record", "/".join(scope[:depth]))).allowed:
                return actor
        if action in _SHARED and not allow(actor, action).allowed:
            if self._token is not None and self._token.matches(_bearer(authorization)):
                return TOKEN_HOLDER
            if self._open:
                return actor
        require(actor, action)
        return actor


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
