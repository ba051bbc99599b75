"""API tokens: a program's credential to act for a person, as ``rst_<id>_<secret>``.

The prefix makes a leaked one recognisable to scanners; the id finds its row; only the hash of the secret is kept.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import NotFoundError
from runstead.kernel.trail import Trail
from runstead.platform.identity.actor import Actor
from runstead.platform.identity.directory import actor_of_user, find_user
from runstead.platform.identity.errors import TooManyError, UserNotFoundError
from runstead.platform.identity.high_entropy import fits, hash_of, new_secret
from runstead.platform.identity.model import TOKEN_PREFIX, Token
from runstead.platform.identity.tables import tokens
from runstead.platform.storage.sql import Database

TOKENS_PER_USER_MAX: Final = 100
_FORM: Final = re.compile(r"rst_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")

#: As for sessions.
BELIEVED_SECONDS: Final = 5.0
BELIEVED_MAX: Final = 5000
_USE_SECONDS: Final = 60


@dataclass(slots=True)
class _Believed:
    token: Token
    actor: Actor
    secret: str
    until: float


class Tokens:
    """Tokens of people. One may at most do what its person may, and no more than its scopes say."""

    def __init__(self, db: Database, *, days_max: int, trail: Trail, clock: Clock) -> None:
        self._db = db
        self._days_max = days_max
        self._trail = trail
        self._clock = clock
        self._believed: OrderedDict[str, _Believed] = OrderedDict()

    async def create(
        self, user_id: str, *, name: str, scopes: Iterable[str] | None, days: int
    ) -> tuple[Token, str]:
        """Make a token.

        :param days: until it expires; cut to the operator's maximum.
        :returns: the token, and its text, which is shown once.
        :raises TooManyError: the person has :data:`TOKENS_PER_USER_MAX`.
        """
        now, secret = self._clock.now(), new_secret()
        token = Token(
            id=secrets.token_hex(8),
            user_id=user_id,
            name=name,
            scopes=None if scopes is None else tuple(sorted(set(scopes))),
            created_at=now,
            expires_at=now + timedelta(days=min(days, self._days_max)),
            used_at=None,
        )
        traced = self._trail.note(
            "token.create", resource=f"token:{token.id}", details={"name": name, "scopes": token.scopes}
        )

        def work(connection: sa.Connection) -> None:
            if find_user(connection, user_id) is None:
                raise UserNotFoundError
            mine = sa.select(sa.func.count()).where(tokens.c.user_id == user_id)
            if (connection.scalar(mine) or 0) >= TOKENS_PER_USER_MAX:
                raise TooManyError(f"a person has {TOKENS_PER_USER_MAX} tokens at most")
            connection.execute(
                tokens.insert().values(
                    id=token.id,
                    user_id=user_id,
                    name=name,
                    secret=hash_of(secret),
                    scopes=None if token.scopes is None else json.dumps(token.scopes),
                    created_at=rfc3339(now),
                    expires_at=rfc3339(token.expires_at),
                    used_at=None,
                )
            )
            traced(connection)

        await self._db.write(work)
        return token, f"{TOKEN_PREFIX}{token.id}_{secret}"

    async def find(self, text: str) -> Actor | None:
        """Whoever a token speaks for; None when it is none, or no longer."""
        form = _FORM.fullmatch(text)
        if form is None:
            return None
        token_id, secret = form.groups()
        believed = self._believed.get(token_id)
        if believed is None or believed.until < time.monotonic():
            believed = await self._look_up(token_id)
        if believed is None or not fits(secret, believed.secret):
            return None
        now = self._clock.now()
        if now >= believed.token.expires_at:
            return None
        used = believed.token.used_at
        if used is None or (now - used).total_seconds() >= _USE_SECONDS:
            believed.token = replace(believed.token, used_at=now)
            update = tokens.update().where(tokens.c.id == token_id).values(used_at=rfc3339(now))
            await self._db.write(lambda connection: connection.execute(update).rowcount)
        return believed.actor

    async def _look_up(self, token_id: str) -> _Believed | None:
        def work(connection: sa.Connection) -> _Believed | None:
            row = connection.execute(tokens.select().where(tokens.c.id == token_id)).mappings().first()
            user = None if row is None else find_user(connection, row["user_id"])
            if row is None or user is None or user.disabled:
                return None
            token = _token(row)
            actor = replace(
                actor_of_user(connection, user),
                scopes=None if token.scopes is None else frozenset(token.scopes),
                credential_id=token.id,
            )
            return _Believed(token, actor, row["secret"], time.monotonic() + BELIEVED_SECONDS)

        found = await self._db.read(work)
        self._believed.pop(token_id, None)
        if found is not None:
            self._believed[token_id] = found
            while len(self._believed) > BELIEVED_MAX:
                self._believed.popitem(last=False)
        return found

    async def list(self, user_id: str) -> Sequence[Token]:
        """Somebody's tokens, the oldest first."""
        query = tokens.select().where(tokens.c.user_id == user_id).order_by(tokens.c.created_at, tokens.c.id)
        return await self._db.read(
            lambda connection: [_token(row) for row in connection.execute(query).mappings()]
        )

    async def revoke(self, token_id: str, *, user_id: str | None = None) -> None:
        """End a token.

        :param user_id: whose it must be.
        :raises NotFoundError: there is no such token.
        """
        this = tokens.c.id == token_id
        if user_id is not None:
            this &= tokens.c.user_id == user_id
        traced = self._trail.note("token.delete", resource=f"token:{token_id}")

        def work(connection: sa.Connection) -> None:
            if not connection.execute(tokens.delete().where(this)).rowcount:
                raise NotFoundError(f"there is no token {token_id[:32]!r}")
            traced(connection)

        await self._db.write(work)
        self._believed.pop(token_id, None)

    def forget(self) -> None:
        """Look everybody up again: somebody's rights have changed."""
        self._believed.clear()


def _token(row: sa.RowMapping) -> Token:
    return Token(
        id=row["id"],
        user_id=row["user_id"],
        name=row["name"],
        scopes=None if row["scopes"] is None else tuple(json.loads(row["scopes"])),
        created_at=parse_rfc3339(row["created_at"]),
        expires_at=parse_rfc3339(row["expires_at"]),
        used_at=None if row["used_at"] is None else parse_rfc3339(row["used_at"]),
    )
