"""Handlers that the clock calls. They survive restarts, and of several servers one calls them."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
import structlog

from runstead.capabilities.apps.hostcalls import Caller, Calls, Session
from runstead.capabilities.apps.model import Timer
from runstead.capabilities.apps.registration import OTHERS_MAX, timer_of
from runstead.capabilities.apps.stage import Serving
from runstead.capabilities.apps.store import metadata
from runstead.kernel.background import DueWork, background
from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import BadRequestError, ConflictError, RunsteadError
from runstead.platform.storage.sql import Database

#: Seconds for which a call belongs to the server that makes it; after that another one may.
LEASE_SECONDS: Final = 30.0
#: Seconds between two looks when nothing is known to be due: another server may have added a timer.
LOOK_SECONDS: Final = 10.0
#: Timers that are called at the same time.
AT_ONCE: Final = 16
#: Seconds until a timer is looked at again whose app does not serve.
ABSENT_SECONDS: Final = 10.0
_NEVER: Final = ""
_log = structlog.get_logger("apps")

timers = sa.Table(
    "apps_timers",
    metadata,
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("handler", sa.Text, nullable=False),
    sa.Column("every_ms", sa.BigInteger, nullable=True),
    # By init, which says anew with each version what there is; else by a handler.
    sa.Column("from_init", sa.Boolean, nullable=False),
    sa.Column("next_at", sa.Text, nullable=False),
    # The server that calls it, and until when it may take.
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("leased_until", sa.Text, nullable=False),
    sa.Column("last_at", sa.Text, nullable=True),
    sa.Column("last_error", sa.Text, nullable=True),
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("missed", sa.Integer, nullable=False),
    sa.Index("apps_timers_due", "next_at"),
)

Invoke = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Due:
    app_id: str
    name: str
    handler: str
    every_ms: int | None
    at: datetime
    missed: int


class Timers:
    """Calls what is due.

    Guarantee: of one timer one call runs at a time, on one server. A call that a server died with is made again by another when
    its lease is over. Times that passed while nobody was there are counted as missed and made up for by one call.
    """

    def __init__(
        self, db: Database, clock: Clock, serving: Callable[[str], Serving | None], invoke: Invoke
    ) -> None:
        self._db = db
        self._clock = clock
        self._serving = serving
        self._invoke = invoke
        self._owner = uuid.uuid4().hex
        self._due = DueWork(
            take=self._take,
            act=self._call,
            seconds_left=self._seconds_left,
            clock=clock,
            at_once=AT_ONCE,
            look_seconds=LOOK_SECONDS,
        )

    async def replace(self, app_id: str, wanted: Sequence[Timer], *, is_startup: bool) -> None:
        """What init says there is, instead of what it said before; one that is as it was keeps its time.

        At a start, a time that has passed is not made up for: it had its call before.
        """
        now = self._clock.now()

        def work(connection: sa.Connection) -> None:
            ours = (timers.c.app_id == app_id) & timers.c.from_init
            known = {row["name"]: row for row in connection.execute(timers.select().where(ours)).mappings()}
            kept = set()
            for one in wanted:
                row = known.get(one.name)
                if row is not None and (row["handler"], row["every_ms"]) == (one.handler, one.every_ms):
                    kept.add(one.name)
                    if one.every_ms is not None or one.at is None or rfc3339(one.at) == row["next_at"]:
                        continue
                if one.every_ms is None and is_startup and one.at is not None and one.at <= now:
                    continue
                _put(connection, app_id, one, now, from_init=True)
                kept.add(one.name)
            connection.execute(timers.delete().where(ours & timers.c.name.not_in(kept)))

        await self._db.write(work)
        self._due.wake()

    async def add(self, app_id: str, one: Timer) -> None:
        """:raises ConflictError: the app has as many as it may."""
        now = self._clock.now()
        count = sa.select(sa.func.count()).where(timers.c.app_id == app_id)

        def work(connection: sa.Connection) -> None:
            if int(connection.scalar(count) or 0) >= OTHERS_MAX:
                raise ConflictError(f"the app has {OTHERS_MAX} timers already")
            _put(connection, app_id, one, now, from_init=False)

        await self._db.write(work)
        self._due.wake()

    async def clear(self, app_id: str) -> None:
        """Forget all timers of an app."""
        gone = timers.delete().where(timers.c.app_id == app_id)
        await self._db.write(lambda connection: connection.execute(gone).rowcount)

    async def list(self, app_id: str) -> Sequence[dict[str, Any]]:
        """The timers of an app, by name."""
        shown = ("name", "handler", "every_ms", "next_at", "last_at", "last_error", "runs", "missed")
        query = (
            sa.select(*(timers.c[name] for name in shown))
            .where(timers.c.app_id == app_id)
            .order_by(timers.c.name)
        )
        return await self._db.read(
            lambda connection: [dict(row) for row in connection.execute(query).mappings()]
        )

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Call what is due while the context is open."""
        return background(self._due.run(), "timers")

    async def _seconds_left(self) -> float:
        earliest = sa.select(sa.func.min(timers.c.next_at))
        found = await self._db.read(lambda connection: connection.scalar(earliest))
        return LOOK_SECONDS if found is None else (parse_rfc3339(found) - self._clock.now()).total_seconds()

    async def _take(self) -> Sequence[_Due]:
        """What is due, and ours from now on. A recurring one gets its next time at once."""
        now = self._clock.now()
        due = (
            timers.select().where(timers.c.next_at <= rfc3339(now)).order_by(timers.c.next_at).limit(AT_ONCE)
        )
        lease = now + timedelta(seconds=LEASE_SECONDS)
        if not await self._db.read(
            lambda connection: connection.execute(due.with_only_columns(timers.c.name)).first()
        ):
            return []

        def work(connection: sa.Connection) -> Sequence[_Due]:
            found = []
            for row in connection.execute(due).mappings().all():
                this = (timers.c.app_id == row["app_id"]) & (timers.c.name == row["name"])
                at, every = parse_rfc3339(row["next_at"]), row["every_ms"]
                if every is None:
                    next_at, missed = lease, 0
                else:
                    passed = int((now - at).total_seconds() * 1000 // every)
                    next_at, missed = at + timedelta(milliseconds=every * (passed + 1)), passed
                is_running = row["leased_until"] > rfc3339(now)
                values: dict[str, Any] = {"next_at": rfc3339(next_at)}
                if is_running:
                    values["missed"] = row["missed"] + missed + 1
                else:
                    values |= {
                        "owner": self._owner,
                        "leased_until": rfc3339(lease),
                        "missed": row["missed"] + missed,
                    }
                    found.append(_Due(row["app_id"], row["name"], row["handler"], every, at, missed))
                connection.execute(timers.update().where(this).values(**values))
            return found

        return await self._db.write(work)

    async def _call(self, one: _Due) -> None:
        serving, error = self._serving(one.app_id), None
        try:
            if serving is not None:
                args = {"name": one.name, "scheduledAt": rfc3339(one.at), "missed": one.missed}
                await self._invoke(serving, one.handler, Session(Caller(one.app_id)), kind="timer", args=args)
        except RunsteadError as failure:
            # The whole story is in the app's log.
            error = failure.message
            _log.warning("a timer failed", app_id=one.app_id, timer=one.name, error=error)
        await self._done(one, error, is_absent=serving is None)

    async def _done(self, one: _Due, error: str | None, *, is_absent: bool) -> None:
        this = (timers.c.app_id == one.app_id) & (timers.c.name == one.name) & (timers.c.owner == self._owner)
        now = self._clock.now()
        values: dict[str, Any] = {"leased_until": _NEVER}
        if is_absent:
            later = rfc3339(now + timedelta(seconds=ABSENT_SECONDS))
            change: Any = timers.update().where(this).values(next_at=later, **values)
        elif one.every_ms is None:
            # Unless the handler has set it again meanwhile.
            change = timers.delete().where(this & (timers.c.leased_until != _NEVER))
        else:
            change = (
                timers.update()
                .where(this)
                .values(last_at=rfc3339(now), last_error=error, runs=timers.c.runs + 1, **values)
            )
        await self._db.write(lambda connection: connection.execute(change).rowcount)
        self._due.wake()


def _put(connection: sa.Connection, app_id: str, one: Timer, now: datetime, *, from_init: bool) -> None:
    connection.execute(timers.delete().where((timers.c.app_id == app_id) & (timers.c.name == one.name)))
    first = one.at or now + timedelta(milliseconds=one.every_ms or 0)
    connection.execute(
        timers.insert().values(
            app_id=app_id,
            name=one.name,
            handler=one.handler,
            every_ms=one.every_ms,
            from_init=from_init,
            next_at=rfc3339(first),
            owner="",
            leased_until=_NEVER,
            last_at=None,
            last_error=None,
            runs=0,
            missed=0,
        )
    )


class TimerCalls:
    """Timers that handlers set."""

    def __init__(self) -> None:
        #: Set when the service is there, which needs the host API itself.
        self.timers: Timers | None = None

    def calls(self) -> Calls:
        return {"schedule.add": self._add, "schedule.clear": self._clear}

    async def _add(self, session: Session, fields: dict[str, Any]) -> None:
        if not isinstance(fields, dict):
            raise BadRequestError("a timer is an object")
        assert self.timers is not None  # noqa: S101 - set before anything runs
        await self.timers.add(session.caller.app_id, timer_of(fields))

    async def _clear(self, session: Session) -> None:
        assert self.timers is not None  # noqa: S101 - set before anything runs
        await self.timers.clear(session.caller.app_id)
