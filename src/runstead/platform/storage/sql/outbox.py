"""Events that are written beside the act in one transaction and delivered after its commit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

import sqlalchemy as sa

from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import UnavailableError
from runstead.kernel.events import Event
from runstead.kernel.ids import new_id
from runstead.kernel.limits import MIB, PAGE_ROWS_MAX
from runstead.platform.storage.sql.database import Database
from runstead.platform.storage.sql.signals import signal

log = logging.getLogger(__name__)

#: Bytes of one payload as JSON. What is larger belongs into the object store, with its key here.
PAYLOAD_BYTES_MAX: Final = 1 * MIB

#: Events of one topic that are fetched and, once delivered, removed together; so many may be delivered twice after a crash.
BATCH_EVENTS_MAX: Final = 50

#: Deliveries before an event is parked. The waits between them add up to about a minute.
ATTEMPTS_MAX: Final = 8

#: Seconds before the second attempt; doubled for each further one, with jitter, up to the maximum.
BACK_OFF_SECONDS: Final = 0.5
BACK_OFF_SECONDS_MAX: Final = 60.0

#: Seconds until an event that another process wrote is noticed.
POLL_SECONDS: Final = 5.0

#: Seconds that closing gives the handlers that are running; they are cancelled then, and called again after the restart.
STOP_SECONDS_MAX: Final = 5.0

#: Characters of the last error that are kept.
ERROR_CHARS_MAX: Final = 1000

Handler = Callable[[Event], Awaitable[None]]

metadata = sa.MetaData()
events = sa.Table(
    "outbox_events",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("added_at", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # Empty: at once.
    sa.Column("due_at", sa.Text, nullable=False),
    sa.Column("parked_at", sa.Text, nullable=True),
    sa.Column("error", sa.Text, nullable=True),
    sa.Index("outbox_events_by_topic", "topic", "parked_at", "id"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedEvent:
    """An event that was given up, until somebody looks at it."""

    event: Event
    attempts: int
    parked_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class _Pending:
    event: Event
    attempts: int
    #: None: at once.
    due_at: datetime | None


class Outbox:
    """Delivers what :meth:`add` wrote, after its commit, to the handler of its topic.

    Guarantee: at least once, also across restarts and kills, and in the order of writing within a topic; a handler must
    be idempotent by ``event.id``. Topics do not wait for one another.
    Failure: a handler that raises is called again with growing pauses, and its topic waits, for the order's sake. After
    ``ATTEMPTS_MAX`` the event is parked (:meth:`parked`, :meth:`retry`) and the topic goes on without it.
    ``UnavailableError`` and ``OSError`` say that the receiver is away, not that the event is bad: they park nothing,
    however often. Several processes on one PostgreSQL each deliver: there an event may well arrive twice.
    Why not call the receiver directly: a crash between the commit and the call would lose the event silently, and a
    slow receiver would hold up the sender.
    """

    def __init__(self, db: Database, handlers: Mapping[str, Handler], *, clock: Clock | None = None) -> None:
        """Prepare; nothing is delivered before the outbox is entered. Events of other topics stay where they are."""
        self._db = db
        self._handlers = dict(handlers)
        self._clock = clock or db.clock
        self._wake: dict[str, asyncio.Event] = {}
        #: How often in a row the receiver of a topic was away. Only the pause depends on it, so a restart may forget.
        self._away = dict.fromkeys(self._handlers, 0)
        self._tasks: list[asyncio.Task[None]] = []
        self._stop_listening: list[Callable[[], None]] = []
        self._stopping = False

    @staticmethod
    def add(connection: sa.Connection, topic: str, payload: Mapping[str, Any]) -> str:
        """Write an event in the caller's transaction.

        :returns: the id of the event.
        :raises ValueError: the payload is too large, or not JSON.
        """
        text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        if len(text.encode()) > PAYLOAD_BYTES_MAX:
            raise ValueError(f"the payload of {topic} is larger than {PAYLOAD_BYTES_MAX} bytes")
        event_id, now = new_id(), rfc3339(datetime.now(UTC))
        connection.execute(
            events.insert().values(
                id=event_id,
                topic=topic,
                payload=text,
                added_at=now,
                attempts=0,
                due_at="",
                parked_at=None,
                error=None,
            )
        )
        signal(connection, _signal_of(topic))
        return event_id

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for topic in self._handlers:
            wake = self._wake[topic] = asyncio.Event()

            def on_commit(wake: asyncio.Event = wake) -> None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: the next start delivers
                    loop.call_soon_threadsafe(wake.set)

            self._stop_listening.append(self._db.on_commit(_signal_of(topic), on_commit))
            self._tasks.append(asyncio.create_task(self._deliver_topic(topic), name=f"outbox {topic}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for stop in self._stop_listening:
            stop()
        self._stopping = True
        self.notify()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS_MAX)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._stop_listening.clear()

    def notify(self) -> None:
        """Look again now; for whoever changed the table by other means."""
        for wake in self._wake.values():
            wake.set()

    async def parked(self, *, limit: int = PAGE_ROWS_MAX) -> list[ParkedEvent]:
        """The events that were given up, oldest first."""
        query = events.select().where(events.c.parked_at.is_not(None)).order_by(events.c.id).limit(limit)
        rows = await self._db.read(lambda connection: connection.execute(query).all())
        return [
            ParkedEvent(
                event=Event(id=row.id, topic=row.topic, payload=json.loads(row.payload)),
                attempts=row.attempts,
                parked_at=parse_rfc3339(row.parked_at),
                error=row.error or "",
            )
            for row in rows
        ]

    async def retry(self, event_id: str) -> bool:
        """Take a parked event up again, with all its attempts. False when there is none of that id."""

        def unpark(connection: sa.Connection) -> bool:
            parked = (events.c.id == event_id) & events.c.parked_at.is_not(None)
            row = connection.execute(sa.select(events.c.topic).where(parked)).first()
            if row is None:
                return False
            connection.execute(events.update().where(parked).values(parked_at=None, attempts=0, due_at=""))
            signal(connection, _signal_of(row.topic))
            return True

        return await self._db.write(unpark)

    async def waiting(self) -> dict[str, int]:
        """How many events wait, by topic; parked ones are not counted."""
        query = (
            sa.select(events.c.topic, sa.func.count())
            .where(events.c.parked_at.is_(None))
            .group_by(events.c.topic)
        )
        rows = await self._db.read(lambda connection: connection.execute(query).all())
        return {row[0]: row[1] for row in rows}

    async def _deliver_topic(self, topic: str) -> None:
        wake = self._wake[topic]
        while not self._stopping:
            wake.clear()
            pause = POLL_SECONDS
            try:
                pause = await self._deliver_batch(topic)
            except Exception:
                # Only the database gets here; the events are safe in it, so look again later.
                log.exception("the outbox could not be read or written", extra={"topic": topic})
            if pause > 0 and not self._stopping:
                await self._wait(wake, pause)

    async def _wait(self, wake: asyncio.Event, seconds: float) -> None:
        waits = {asyncio.ensure_future(wake.wait()), asyncio.ensure_future(self._clock.sleep(seconds))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _deliver_batch(self, topic: str) -> float:
        """Deliver what is due, in order. Returns the seconds until there may be more."""
        batch = await self._db.read(lambda connection: _fetch(connection, topic))
        delivered: list[str] = []
        try:
            for one in batch:
                if self._stopping:
                    break
                early = (one.due_at - self._clock.now()).total_seconds() if one.due_at else 0.0
                if early > 0:
                    return min(early, POLL_SECONDS)
                try:
                    await self._handlers[topic](one.event)
                except Exception as error:  # noqa: BLE001 - whatever the handler raises is kept with the event
                    return await self._failed(one, error)
                self._away[topic] = 0
                delivered.append(one.event.id)
        finally:
            # Also when this task is cancelled: what was delivered need not be delivered again after the restart.
            if delivered:
                await self._db.write(
                    lambda connection: (
                        connection.execute(events.delete().where(events.c.id.in_(delivered))).rowcount
                    )
                )
        return 0 if len(batch) == BATCH_EVENTS_MAX else POLL_SECONDS

    async def _failed(self, one: _Pending, error: Exception) -> float:
        topic = one.event.topic
        if isinstance(error, UnavailableError | OSError):
            self._away[topic] += 1
            attempts, failures = one.attempts, self._away[topic]
        else:
            attempts = failures = one.attempts + 1
        parks = attempts >= ATTEMPTS_MAX
        longest = min(BACK_OFF_SECONDS * 2 ** min(failures - 1, 30), BACK_OFF_SECONDS_MAX)
        pause = random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret
        now = self._clock.now()
        values = {
            "attempts": attempts,
            "due_at": rfc3339(now + timedelta(seconds=pause)),
            "parked_at": rfc3339(now) if parks else None,
            "error": f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX],
        }
        await self._db.write(
            lambda connection: (
                connection.execute(events.update().where(events.c.id == one.event.id).values(values)).rowcount
            )
        )
        log.log(
            logging.ERROR if parks else logging.WARNING,
            "an event was parked" if parks else "an event could not be delivered",
            extra={
                "topic": topic,
                "event_id": one.event.id,
                "attempts": attempts,
                "error": values["error"],
            },
        )
        return 0 if parks else min(pause, POLL_SECONDS)


def _signal_of(topic: str) -> str:
    return f"outbox.{topic}"


def _fetch(connection: sa.Connection, topic: str) -> list[_Pending]:
    query = (
        events.select()
        .where(events.c.topic == topic, events.c.parked_at.is_(None))
        .order_by(events.c.id)
        .limit(BATCH_EVENTS_MAX)
    )
    return [
        _Pending(
            Event(id=row.id, topic=row.topic, payload=json.loads(row.payload)),
            row.attempts,
            parse_rfc3339(row.due_at) if row.due_at else None,
        )
        for row in connection.execute(query)
    ]
