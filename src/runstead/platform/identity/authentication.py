"""From what a request carries to the actor behind it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runstead.kernel.clock import Clock, SystemClock
from runstead.kernel.errors import RunsteadError
from runstead.kernel.secret import Secret
from runstead.platform.identity.actor import ADMINISTRATOR, ANONYMOUS, OPERATOR, Actor
from runstead.platform.identity.errors import LockedError
from runstead.platform.identity.lockout import Lockout
from runstead.platform.identity.model import TOKEN_PREFIX, Session
from runstead.platform.identity.visitor import Visitor

if TYPE_CHECKING:
    from runstead.platform.identity.accounts import Accounts
    from runstead.platform.identity.ports import Sealer

Headers = Sequence[tuple[bytes, bytes]]

#: Where credentials come from; a request without any of them is anonymous.
CREDENTIAL_HEADERS: Final = frozenset({b"authorization", b"x-admin-token", b"x-master-password", b"cookie"})

#: The session's cookie. The prefix makes browsers refuse it from anyone but this host over TLS (RFC 6265bis section 4.1.3).
COOKIE: Final = "runstead"
SECURE_COOKIE: Final = "__Host-runstead"
#: What pages read to show it in X-CSRF-Token.
CSRF_COOKIE: Final = "runstead-csrf"
SECURE_CSRF_COOKIE: Final = "__Host-runstead-csrf"

#: Wrong credentials in a row of one address before it has to wait.
ATTEMPTS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who asks, and by which session, if by one."""

    actor: Actor
    session: Session | None = None
    #: The last proof of a session is so long ago that dangerous acts need another one.
    stale: bool = False
    #: A credential was sent that nobody here knows. Capabilities have some of their own, so it may be theirs.
    unknown: bool = False


NOBODY: Final = Authenticated(ANONYMOUS)
UNKNOWN: Final = Authenticated(ANONYMOUS, unknown=True)


def _text(value: bytes) -> str:
    # Clients disagree on how to send a password beyond ASCII; most of them send UTF-8.
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def seal_cookie(sealer: Sealer, session_id: str, secret: str) -> str:
    """The value of the session's cookie: base64url of AES-256-GCM over the id and the secret."""
    return (
        base64.urlsafe_b64encode(sealer.seal(f"session:{session_id}.{secret}".encode())).decode().rstrip("=")
    )


def open_cookie(sealer: Sealer, value: str) -> tuple[str, str] | None:
    """Id and secret; None for what this server has not sealed."""
    try:
        clear = sealer.open(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))).decode()
    except (ValueError, binascii.Error, RunsteadError):
        return None
    kind, _, rest = clear.partition(":")
    session_id, dot, secret = rest.partition(".")
    return (session_id, secret) if kind == "session" and dot else None


def csrf_token(sealer: Sealer, session_id: str) -> str:
    """What a page of this origin shows to prove that it is one: bound to the session, of no use with another."""
    mac = hmac.new(sealer.derive(b"csrf"), session_id.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


class Identity:
    """Knows the machines' two credentials, and whom to ask about people's sessions and tokens.

    A credential that is wrong makes the request anonymous rather than failed: only the guard of the route knows whether one was
    needed, and tells by :meth:`refused`. An address that sends wrong ones in a row is locked out for a while, doubling; then the
    right one is refused too.
    Every comparison takes the same time whether it matches or not.
    """

    def __init__(
        self,
        *,
        admin_token: Secret | None = None,
        master_password: Secret | None = None,
        accounts: Accounts | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Know these; what is None lets nobody in.

        :param accounts: people, with their sessions and tokens.
        """
        self._admin_token = admin_token
        self._master_password = master_password
        self._accounts = accounts
        self._lockout = accounts.lockout if accounts else Lockout(attempts=ATTEMPTS_MAX)
        self._clock = clock or (accounts.clock if accounts else SystemClock())

    async def authenticate(self, headers: Headers, address: str = "", agent: str = "") -> Authenticated:
        """Find the actor. A credential in a header wins over a cookie: programs send it on purpose, browsers send cookies always.

        :param headers: raw ASGI headers; names are lower-case.
        :param address: the peer's.
        :param agent: what the browser calls itself.
        :raises LockedError: too many wrong credentials from this address.
        """
        sent, cookies = _credentials_in(headers)
        if sent:
            if seconds := self._lockout.locked_for(address, self._clock.monotonic()):
                raise LockedError(seconds)
            actor = await self._by_credentials(sent)
            if actor is not None:
                self._lockout.succeeded(address)
                return Authenticated(actor)
        if self._accounts is not None:
            for value in cookies:
                opened = open_cookie(self._accounts.sealer, value)
                found = opened and await self._accounts.sessions.find(*opened, Visitor(address, agent))
                if found:
                    return Authenticated(found.actor, found.session, stale=self._is_stale(found.session))
        return UNKNOWN if sent else NOBODY

    def _is_stale(self, session: Session) -> bool:
        assert self._accounts is not None  # noqa: S101
        minutes = self._accounts.settings.step_up_minutes
        return self._clock.now() - session.proved_at > timedelta(minutes=minutes)

    def refused(self, address: str) -> None:
        """A credential that nobody knows was sent where one was needed: a guess."""
        self._lockout.failed(address, self._clock.monotonic())

    def csrf_token(self, session_id: str) -> str:
        """See :func:`csrf_token`. Sessions exist only where there are accounts."""
        assert self._accounts is not None  # noqa: S101
        return csrf_token(self._accounts.sealer, session_id)

    async def _by_credentials(self, sent: Sequence[tuple[bytes, str]]) -> Actor | None:
        found = None
        for name, value in sent:
            actor = self._machine(name, value)
            if actor is ADMINISTRATOR:
                return actor
            found = actor or found
        if found is None and self._accounts is not None:
            for _name, value in sent:
                if (
                    value.startswith(TOKEN_PREFIX)
                    and (found := await self._accounts.tokens.find(value)) is not None
                ):
                    break
        return found

    def _machine(self, name: bytes, value: str) -> Actor | None:
        if name != b"x-master-password" and self._admin_token and self._admin_token.matches(value):
            return ADMINISTRATOR
        if name != b"x-admin-token" and self._master_password and self._master_password.matches(value):
            return OPERATOR
        return None


def _credentials_in(headers: Headers) -> tuple[list[tuple[bytes, str]], list[str]]:
    sent, cookies = [], []
    for name, value in headers:
        if name == b"cookie":
            cookies += _session_cookies(value.decode("latin-1"))
        elif name == b"authorization":
            scheme, _, token = _text(value).partition(" ")
            if scheme.lower() == "bearer":
                sent.append((name, token.strip()))
        elif name in CREDENTIAL_HEADERS:
            sent.append((name, _text(value)))
    return sent, cookies


def _session_cookies(text: str) -> list[str]:
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return [value for name, _, value in pairs if name in (COOKIE, SECURE_COOKIE)]
