"""Sessions: who is signed in, in which browser, until when."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import NotFoundError
from runstead.kernel.ids import new_id
from runstead.kernel.trail import Trail
from runstead.platform.identity.actor import ROLE_ADMINISTRATOR, Actor
from runstead.platform.identity.directory import actor_of_user, find_user
from runstead.platform.identity.high_entropy import fits, hash_of, new_secret
from runstead.platform.identity.lockout import origin_of
from runstead.platform.identity.model import Session
from runstead.platform.identity.settings import IdentitySettings
from runstead.platform.identity.tables import sessions
from runstead.platform.identity.visitor import AGENT_CHARS_MAX, Visitor
from runstead.platform.storage.sql import Database

#: Seconds for which a session that was looked up is believed without another look: what a change of rights on another node
#: takes at most to arrive here. Changes on this node arrive at once.
BELIEVED_SECONDS: Final = 5.0

#: Sessions held in memory (about 2 KiB each); the one unused for longest goes first.
BELIEVED_MAX: Final = 5000

#: Seconds between two notes of when a session was last used.
SEEN_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session and the one who is signed in."""

    session: Session
    actor: Actor


@dataclass(slots=True)
class _Believed:
    found: SignedIn
    secret: str
    until: float


class Sessions:
    """Sessions live in the database; the browser holds the id and a secret whose hash is kept here.

    Guarantee: a session that was ended opens nothing any more, on this node at once, on others within
    :data:`BELIEVED_SECONDS`. It ends by itself when it is unused, when it is old, when the person is disabled or their rights or
    proofs change, and when it appears in another browser AND another network than it began in: it was stolen then.
    One of the two may change: people travel, browsers are updated.
    """

    def __init__(self, db: Database, *, settings: IdentitySettings, trail: Trail, clock: Clock) -> None:
        self._db = db
        self._settings = settings
        self._trail = trail
        self._clock = clock
        self._believed: OrderedDict[str, _Believed] = OrderedDict()

    async def begin(self, user_id: str, visitor: Visitor, *, method: str) -> tuple[SignedIn, str]:
        """Sign somebody in: always a new session, whatever the browser had before (no fixation).

        :param method: how they proved who they are.
        :returns: the session and its secret.
        """
        now, secret = self._clock.now(), new_secret()
        session = Session(
            id=new_id(),
            user_id=user_id,
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(days=self._settings.session_days),
            proved_at=now,
            method=method,
            address=visitor.address,
            agent=visitor.agent[:AGENT_CHARS_MAX],
        )
        traced = self._trail.note(
            "session.begin",
            actor=f"user:{user_id}",
            resource=f"session:{session.id}",
            details={"method": method},
        )

        def work(connection: sa.Connection) -> Actor | None:
            user = find_user(connection, user_id)
            if user is None or user.disabled:
                return None
            connection.execute(sessions.insert().values(**_row(session, hash_of(secret), user.epoch)))
            self._end_surplus(connection, user_id)
            traced(connection)
            return actor_of_user(connection, user)

        actor = await self._db.write(work)
        if actor is None:
            raise NotFoundError("this person cannot sign in")
        return SignedIn(session, self._speaking(actor, session)), secret

    async def find(self, session_id: str, secret: str, visitor: Visitor) -> SignedIn | None:
        """The session of a request, if it still is one."""
        believed = self._believed.get(session_id)
        if believed is None or believed.until < time.monotonic():
            believed = await self._look_up(session_id)
            if believed is None:
                return None
        if not fits(secret, believed.secret):
            return None
        session = believed.found.session
        if self._is_over(session):
            await self.end(session_id, reason="expired")
            return None
        if _is_stolen(session, visitor):
            await self.end(session_id, reason="stolen", visitor=visitor)
            return None
        if (self._clock.now() - session.seen_at).total_seconds() >= SEEN_SECONDS:
            await self._note_use(believed)
        return believed.found

    async def _look_up(self, session_id: str) -> _Believed | None:
        def work(connection: sa.Connection) -> _Believed | None:
            row = connection.execute(sessions.select().where(sessions.c.id == session_id)).mappings().first()
            user = None if row is None else find_user(connection, row["user_id"])
            if row is None or user is None or user.disabled or user.epoch != row["epoch"]:
                return None
            session = _session(row)
            found = SignedIn(session, self._speaking(actor_of_user(connection, user), session))
            return _Believed(found, row["secret"], time.monotonic() + BELIEVED_SECONDS)

        found = await self._db.read(work)
        self._believed.pop(session_id, None)
        if found is not None:
            self._believed[session_id] = found
            while len(self._believed) > BELIEVED_MAX:
                self._believed.popitem(last=False)
        return found

    def _speaking(self, actor: Actor, session: Session) -> Actor:
        speaking = replace(actor, credential_id=session.id, proved_at=session.proved_at.timestamp())
        if _needs_factor(self._settings.second_factor, actor, session):
            # They can set one up, and nothing else.
            return replace(speaking, scopes=frozenset({"self.*"}))
        return speaking

    def _is_over(self, session: Session) -> bool:
        now = self._clock.now()
        idle = timedelta(minutes=self._settings.session_idle_minutes)
        return now >= session.expires_at or now >= session.seen_at + idle

    async def _note_use(self, believed: _Believed) -> None:
        session = replace(believed.found.session, seen_at=self._clock.now())
        believed.found = SignedIn(session, believed.found.actor)
        update = sessions.update().where(sessions.c.id == session.id).values(seen_at=rfc3339(session.seen_at))
        await self._db.write(lambda connection: connection.execute(update).rowcount)

    async def prove(self, session_id: str, *, method: str) -> None:
        """They have proved again who they are."""
        update = (
            sessions.update()
            .where(sessions.c.id == session_id)
            .values(proved_at=rfc3339(self._clock.now()), method=method)
        )
        await self._db.write(lambda connection: connection.execute(update).rowcount)
        self.forget()

    async def list(self, user_id: str) -> Sequence[Session]:
        """Somebody's sessions, the last used first."""
        query = sessions.select().where(sessions.c.user_id == user_id).order_by(sessions.c.seen_at.desc())
        found = await self._db.read(
            lambda connection: [_session(row) for row in connection.execute(query).mappings()]
        )
        return [session for session in found if not self._is_over(session)]

    async def end(
        self,
        session_id: str,
        *,
        user_id: str | None = None,
        reason: str = "logout",
        visitor: Visitor | None = None,
    ) -> bool:
        """End a session.

        :param user_id: whose it must be.
        :returns: whether there was one.
        """
        this = sessions.c.id == session_id
        if user_id is not None:
            this &= sessions.c.user_id == user_id
        details = {"reason": reason} | ({"address": visitor.address} if visitor else {})
        traced = self._trail.note("session.end", resource=f"session:{session_id}", details=details)

        def work(connection: sa.Connection) -> bool:
            ended = bool(connection.execute(sessions.delete().where(this)).rowcount)
            if ended:
                traced(connection)
            return ended

        ended = await self._db.write(work)
        self._believed.pop(session_id, None)
        return ended

    async def end_others(self, user_id: str, keep: str) -> int:
        """End every session of somebody but one; returns how many ended."""
        traced = self._trail.note("session.end", resource=f"user:{user_id}", details={"reason": "others"})

        def work(connection: sa.Connection) -> int:
            mine = (sessions.c.user_id == user_id) & (sessions.c.id != keep)
            ended = connection.execute(sessions.delete().where(mine)).rowcount
            traced(connection)
            return ended

        ended = await self._db.write(work)
        self.forget()
        return ended

    def forget(self) -> None:
        """Look everybody up again: somebody's rights have changed."""
        self._believed.clear()

    async def sweep(self) -> int:
        """Remove what has expired; returns how many."""
        now = self._clock.now()
        idle = rfc3339(now - timedelta(minutes=self._settings.session_idle_minutes))
        over = (sessions.c.expires_at <= rfc3339(now)) | (sessions.c.seen_at <= idle)
        return await self._db.write(
            lambda connection: connection.execute(sessions.delete().where(over)).rowcount
        )

    def _end_surplus(self, connection: sa.Connection, user_id: str) -> None:
        newest = (
            sa.select(sessions.c.id)
            .where(sessions.c.user_id == user_id)
            .order_by(sessions.c.seen_at.desc(), sessions.c.id.desc())
            .offset(self._settings.sessions_per_user_max)
        )
        surplus = connection.scalars(newest).all()
        if surplus:
            connection.execute(sessions.delete().where(sessions.c.id.in_(surplus)))
            for one in surplus:
                self._believed.pop(one, None)


def _is_stolen(session: Session, visitor: Visitor) -> bool:
    began = Visitor(session.address, session.agent)
    return began.browser != visitor.browser and origin_of(began.address) != origin_of(visitor.address)


def _needs_factor(policy: str, actor: Actor, session: Session) -> bool:
    """Whether a second factor is demanded and was not shown."""
    demanded = policy == "everyone" or (policy == "administrators" and ROLE_ADMINISTRATOR in actor.roles)
    return demanded and session.method in ("password", "link")


def _row(session: Session, secret: str, epoch: int) -> dict[str, object]:
    moments = ("created_at", "seen_at", "expires_at", "proved_at")
    return {
        "id": session.id,
        "user_id": session.user_id,
        "secret": secret,
        "epoch": epoch,
        "method": session.method,
        "address": session.address,
        "agent": session.agent,
        **{name: rfc3339(getattr(session, name)) for name in moments},
    }


def _session(row: sa.RowMapping) -> Session:
    def moment(name: str) -> datetime:
        return parse_rfc3339(row[name])

    return Session(
        id=row["id"],
        user_id=row["user_id"],
        created_at=moment("created_at"),
        seen_at=moment("seen_at"),
        expires_at=moment("expires_at"),
        proved_at=moment("proved_at"),
        method=row["method"],
        address=row["address"],
        agent=row["agent"],
    )
