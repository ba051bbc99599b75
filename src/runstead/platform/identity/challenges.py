"""Something to be answered once, within minutes, by the same browser: sealed, so that nothing is kept until it is answered."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from runstead.kernel.clock import Clock, rfc3339
from runstead.kernel.errors import RunsteadError, UnauthorizedError
from runstead.kernel.ids import new_id
from runstead.platform.identity.ports import Sealer
from runstead.platform.identity.tables import challenges
from runstead.platform.storage.sql import ConstraintError, Database

LIFE_MINUTES: Final = 10


class ChallengeError(UnauthorizedError):
    """This has expired or was used already: begin again."""

    code = "E_CHALLENGE"


class Challenges:
    """Hands out sealed facts and takes each back once."""

    def __init__(self, db: Database, *, sealer: Sealer, clock: Clock) -> None:
        self._db = db
        self._sealer = sealer
        self._clock = clock

    def issue(self, kind: str, **facts: Any) -> str:
        """Seal facts; printable."""
        ends = self._clock.now() + timedelta(minutes=LIFE_MINUTES)
        clear = json.dumps({"kind": kind, "id": new_id(), "ends": ends.timestamp(), "facts": facts})
        return base64.urlsafe_b64encode(self._sealer.seal(clear.encode())).decode().rstrip("=")

    async def redeem(self, kind: str, text: str) -> dict[str, Any]:
        """The facts, once.

        :raises ChallengeError: it is of another kind, not ours, too old, or was redeemed before.
        """
        try:
            clear = json.loads(self._sealer.open(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
        except (ValueError, RunsteadError):
            raise ChallengeError from None
        now = self._clock.now()
        if not isinstance(clear, dict) or clear.get("kind") != kind or clear["ends"] <= now.timestamp():
            raise ChallengeError
        ends = rfc3339(now + timedelta(minutes=LIFE_MINUTES))

        def work(connection: sa.Connection) -> None:
            connection.execute(challenges.delete().where(challenges.c.expires_at <= rfc3339(now)))
            connection.execute(challenges.insert().values(id=clear["id"], expires_at=ends))

        try:
            await self._db.write(work)
        except ConstraintError:
            raise ChallengeError from None
        facts: dict[str, Any] = clear["facts"]
        return facts
