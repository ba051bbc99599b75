"""Outgoing webhooks: written down, signed, tried again, and shown."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from runstead.capabilities.apps.ports import Secrets
from runstead.capabilities.apps.stage import Serving
from runstead.capabilities.apps.store import metadata
from runstead.kernel.background import DueWork, background
from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import RunsteadError
from runstead.kernel.ids import new_id
from runstead.platform.egress import Egress, Outgoing
from runstead.platform.storage.sql import Database

#: Seconds before each further attempt; after the last one a delivery has failed.
BACK_OFF_SECONDS: Final = (10.0, 60.0, 300.0, 1800.0, 7200.0)
#: Seconds for one attempt; attempts at the same time.
ATTEMPT_SECONDS: Final = 10.0
AT_ONCE: Final = 8
#: Seconds between two looks when nothing is known to be due.
LOOK_SECONDS: Final = 30.0
#: Seconds for which an attempt belongs to the server that makes it.
LEASE_SECONDS: Final = 60.0
#: Deliveries of one app that are kept when they have ended.
KEPT: Final = 500

deliveries = sa.Table(
    "apps_deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("app_id", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=True),
    sa.Column("headers", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    # pending, delivered, failed
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("answer", sa.Text, nullable=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("next_at", sa.Text, nullable=False),
    sa.Index("apps_deliveries_due", "status", "next_at"),
    sa.Index("apps_deliveries_of", "app_id", "created_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one address."""

    id: str
    app_id: str
    event: str
    url: str
    secret: str | None
    headers: str
    body: str
    status: str
    attempts: int
    answer: str | None
    created_at: str
    next_at: str

    def as_json(self) -> dict[str, Any]:
        """Without the body, which may hold what only the receiver should read."""
        return {
            "id": self.id,
            "event": self.event,
            "url": self.url,
            "status": self.status,
            "attempts": self.attempts,
            "answer": self.answer,
            "created_at": self.created_at,
            "next_at": self.next_at if self.status == "pending" else None,
        }


class Webhooks:
    """Sends what apps have subscribed others to.

    Guarantee: a delivery is in the database before the sender goes on, and is tried until it was taken or the attempts are used
    up, also by another server after this one has died: at least once. Receivers know it by its id.
    """

    def __init__(
        self,
        db: Database,
        egress: Egress,
        *,
        secrets: Secrets | None,
        clock: Clock,
        back_off: Sequence[float] = BACK_OFF_SECONDS,
    ) -> None:
        self._db = db
        self._egress = egress
        self._secrets = secrets
        self._clock = clock
        self._back_off = tuple(back_off)
        self._due = DueWork(
            take=self._take,
            act=self._attempt,
            seconds_left=self._seconds_left,
            clock=clock,
            at_once=AT_ONCE,
            look_seconds=LOOK_SECONDS,
        )

    async def note(self, serving: Iterable[Serving], sender: str, event: str, data: Any) -> None:
        """Write down whom to tell of an event."""
        now = rfc3339(self._clock.now())
        rows = [
            {
                "id": (delivery_id := new_id()),
                "app_id": one.app_id,
                "event": event,
                "url": hook.url,
                "secret": hook.secret,
                "headers": msgspec.json.encode(hook.headers).decode(),
                "body": msgspec.json.encode(
                    {"id": delivery_id, "event": event, "data": data, "app": sender, "at": now}
                ).decode(),
                "status": "pending",
                "attempts": 0,
                "answer": None,
                "created_at": now,
                "next_at": now,
            }
            for one in serving
            for hook in one.registered.webhooks
            if hook.event == event
        ]
        if not rows:
            return

        def work(connection: sa.Connection) -> None:
            connection.execute(deliveries.insert(), rows)
            for app_id in {row["app_id"] for row in rows}:
                connection.execute(_outdated(str(app_id)))

        await self._db.write(work)
        self._due.wake()

    async def list(self, app_id: str, *, limit: int = 100) -> Sequence[Delivery]:
        """The last deliveries of an app, the newest first."""
        query = (
            deliveries.select()
            .where(deliveries.c.app_id == app_id)
            .order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc())
            .limit(limit)
        )
        return await self._db.read(
            lambda connection: [Delivery(**row) for row in connection.execute(query).mappings()]
        )

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Send while the context is open."""
        return background(self._due.run(), "webhooks")

    async def _seconds_left(self) -> float:
        earliest = sa.select(sa.func.min(deliveries.c.next_at)).where(deliveries.c.status == "pending")
        found = await self._db.read(lambda connection: connection.scalar(earliest))
        return LOOK_SECONDS if found is None else (parse_rfc3339(found) - self._clock.now()).total_seconds()

    async def _take(self) -> Sequence[Delivery]:
        """What is due, and ours for as long as an attempt may take."""
        now = self._clock.now()
        due = (deliveries.c.status == "pending") & (deliveries.c.next_at <= rfc3339(now))
        until = rfc3339(now + timedelta(seconds=LEASE_SECONDS))

        def work(connection: sa.Connection) -> Sequence[Delivery]:
            query = deliveries.select().where(due).order_by(deliveries.c.next_at).limit(AT_ONCE)
            found = [Delivery(**row) for row in connection.execute(query).mappings()]
            for one in found:
                this = (deliveries.c.id == one.id) & (deliveries.c.next_at == one.next_at)
                connection.execute(deliveries.update().where(this).values(next_at=until))
            return found

        return await self._db.write(work)

    async def _attempt(self, one: Delivery) -> None:
        succeeded, answer = await self._send(one)
        attempts = one.attempts + 1
        values: dict[str, Any] = {"attempts": attempts, "answer": answer[:500]}
        if succeeded:
            values["status"] = "delivered"
        elif attempts > len(self._back_off):
            values["status"] = "failed"
        else:
            values["next_at"] = rfc3339(self._clock.now() + timedelta(seconds=self._back_off[attempts - 1]))
        await self._db.write(
            lambda connection: (
                connection.execute(
                    deliveries.update().where(deliveries.c.id == one.id).values(**values)
                ).rowcount
            )
        )
        self._due.wake()

    async def _send(self, one: Delivery) -> tuple[bool, str]:
        try:
            headers = await self._headers(one)
            answer = await self._egress.send(
                Outgoing(
                    method="POST",
                    url=one.url,
                    headers=headers,
                    body=one.body.encode(),
                    seconds=ATTEMPT_SECONDS,
                    redirect="manual",
                )
            )
        except RunsteadError as error:
            return False, error.message
        return 200 <= answer.status < 300, f"answered {answer.status}"

    async def _headers(self, one: Delivery) -> Sequence[tuple[str, str]]:
        given: Mapping[str, str] = msgspec.json.decode(one.headers, type=dict[str, str])
        timestamp = str(int(self._clock.now().timestamp()))
        headers = [
            *given.items(),
            ("content-type", "application/json"),
            ("x-runstead-event", one.event.encode("ascii", "replace").decode()),
            ("x-runstead-delivery", one.id),
            ("x-runstead-timestamp", timestamp),
        ]
        if one.secret is not None and self._secrets is not None:
            scopes = (f"app:{one.app_id}", "server")
            key = await self._secrets.use(one.secret, used_by=f"app:{one.app_id}", scopes=scopes)
            headers.append(("x-runstead-signature", signature(key.reveal(), timestamp, one.body)))
        return headers


def signature(key: str, timestamp: str, body: str) -> str:
    """``sha256=`` and the HMAC of the timestamp, a full stop and the body, in hexadecimal (RFC 2104)."""
    message = f"{timestamp}.{body}".encode()
    return f"sha256={hmac.new(key.encode(), message, hashlib.sha256).hexdigest()}"


def _outdated(app_id: str) -> sa.Delete:
    kept = (
        sa.select(deliveries.c.id)
        .where(deliveries.c.app_id == app_id)
        .order_by(deliveries.c.created_at.desc(), deliveries.c.id.desc())
        .limit(KEPT)
    )
    return deliveries.delete().where(
        (deliveries.c.app_id == app_id) & (deliveries.c.status != "pending") & deliveries.c.id.not_in(kept)
    )
