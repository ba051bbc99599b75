"""Setting factors up, and checking them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import NotFoundError, UnprocessableError
from runstead.kernel.ids import new_id
from runstead.kernel.trail import Trail
from runstead.platform.identity.challenges import Challenges
from runstead.platform.identity.errors import SignInError, TooManyError
from runstead.platform.identity.factors import passkeys, recovery, totp
from runstead.platform.identity.factors.passkeys import Passkey, Site
from runstead.platform.identity.high_entropy import hash_of
from runstead.platform.identity.model import User
from runstead.platform.identity.ports import Sealer
from runstead.platform.identity.tables import factors
from runstead.platform.storage.sql import Database

FACTORS_PER_USER_MAX: Final = 20
TOTP, PASSKEY, RECOVERY = "totp", "passkey", "recovery"


class WrongCodeError(UnprocessableError):
    """That code does not fit; is the clock of the telephone right?"""

    code = "E_WRONG_CODE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One that somebody has set up."""

    id: str
    kind: str
    name: str
    created_at: datetime
    used_at: datetime | None


class Factors:
    """One-time codes, passkeys and recovery codes of people.

    A code works once: of two who show the same at once, one is refused. The secret of one-time codes is sealed; of recovery codes
    the hash is kept, of passkeys the public key.
    """

    def __init__(
        self, db: Database, *, sealer: Sealer, challenges: Challenges, trail: Trail, clock: Clock
    ) -> None:
        self._db = db
        self._sealer = sealer
        self._challenges = challenges
        self._trail = trail
        self._clock = clock

    async def methods(self, user_id: str) -> Sequence[str]:
        """Kinds that somebody has set up. Recovery codes alone are none."""
        query = sa.select(factors.c.kind).where(_is_of(user_id)).distinct()
        kinds = set(await self._db.read(lambda connection: connection.scalars(query).all()))
        return sorted(kinds) if kinds & {TOTP, PASSKEY} else ()

    async def list(self, user_id: str) -> Sequence[Factor]:
        """Somebody's factors, the oldest first; recovery codes are counted, not named."""
        query = factors.select().where(_is_of(user_id)).order_by(factors.c.id)
        return await self._db.read(lambda connection: [_factor(row) for row in connection.execute(query)])

    async def check(self, user_id: str, code: str) -> str | None:
        """The method that this code proves, used up by it; None: it proves nothing."""
        now = self._clock.now()

        def work(connection: sa.Connection) -> str | None:
            for row in connection.execute(factors.select().where(_is_of(user_id, TOTP))).all():
                step = totp.step_of(self._sealer.open(bytes(row.data)).decode(), code.strip(), now)
                if step is not None and _use_up(connection, row.id, step, now):
                    return TOTP
            known = (factors.c.credential == hash_of(recovery.normal(code))) & _is_of(user_id, RECOVERY)
            return RECOVERY if connection.execute(factors.delete().where(known)).rowcount else None

        return await self._db.write(work)

    def begin_totp(self, user: User, *, issuer: str) -> tuple[str, str, str]:
        """:returns: the secret, the text of the QR code, and what to send back with the first code."""
        secret = totp.new_secret()
        state = self._challenges.issue(TOTP, user=user.id, secret=secret)
        return secret, totp.uri_of(secret, name=user.name, issuer=issuer), state

    async def finish_totp(self, user: User, state: str, code: str, *, name: str) -> Sequence[str]:
        """Set one-time codes up, once a first code shows that the telephone has the secret.

        :returns: recovery codes, shown once; earlier ones work no more.
        :raises WrongCodeError: it does not fit. The set-up begins again then.
        """
        facts = await self._challenges.redeem(TOTP, state)
        now = self._clock.now()
        step = totp.step_of(facts["secret"], code.strip(), now)
        if facts["user"] != user.id or step is None:
            raise WrongCodeError
        sealed = self._sealer.seal(facts["secret"].encode())
        add = self._adding(user.id, TOTP, name, data=sealed, last_step=step)
        codes = recovery.new_codes()

        def work(connection: sa.Connection) -> None:
            # One telephone at a time: a new one replaces the old one.
            connection.execute(factors.delete().where(_is_of(user.id, TOTP)))
            add(connection)
            self._replace_codes(connection, user.id, codes)

        await self._db.write(work)
        return codes

    async def new_recovery_codes(self, user_id: str) -> Sequence[str]:
        """Ten others; the earlier ones work no more."""
        codes = recovery.new_codes()
        traced = self._traced(user_id, "created", RECOVERY)

        def work(connection: sa.Connection) -> None:
            self._replace_codes(connection, user_id, codes)
            traced(connection)

        await self._db.write(work)
        return codes

    async def begin_passkey(self, user: User, site: Site) -> tuple[dict[str, Any], str]:
        """:returns: what the browser takes, and what to send back with its answer."""
        options, challenge = passkeys.registration_options(
            site, user_id=user.id, name=user.name, known=await self._credentials(user.id)
        )
        return options, self._challenges.issue("passkey-new", user=user.id, challenge=challenge)

    async def finish_passkey(
        self, user: User, site: Site, state: str, answer: dict[str, Any], *, name: str
    ) -> None:
        """Keep a passkey.

        :raises BadRequestError: the browser's answer does not fit.
        """
        facts = await self._challenges.redeem("passkey-new", state)
        if facts["user"] != user.id:
            raise WrongCodeError("This set-up was begun by somebody else.")
        found = passkeys.registered(site, facts["challenge"], answer)
        data = json.dumps({"public_key": found.public_key, "uses": found.uses}).encode()
        await self._db.write(self._adding(user.id, PASSKEY, name, data=data, credential=found.credential))

    async def begin_sign_in(self, site: Site, user_id: str = "") -> tuple[dict[str, Any], str]:
        """As :meth:`begin_passkey`, to sign in; for somebody known, their passkeys are named."""
        known = await self._credentials(user_id) if user_id else []
        options, challenge = passkeys.sign_in_options(site, known=known)
        return options, self._challenges.issue("passkey", challenge=challenge)

    async def finish_sign_in(self, site: Site, state: str, answer: dict[str, Any]) -> str:
        """Who signs in by this answer: their id.

        :raises SignInError: it proves nothing.
        """
        facts = await self._challenges.redeem("passkey", state)
        query = factors.select().where(
            (factors.c.kind == PASSKEY) & (factors.c.credential == passkeys.credential_of(answer))
        )
        row = await self._db.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise SignInError("That passkey is not known here.")
        kept = json.loads(row.data)
        uses = passkeys.proved(
            site, facts["challenge"], answer, Passkey(row.credential, kept["public_key"], kept["uses"])
        )
        data = json.dumps({**kept, "uses": uses}).encode()
        update = factors.update().where(factors.c.id == row.id)
        update = update.values(data=data, used_at=rfc3339(self._clock.now()))
        await self._db.write(lambda connection: connection.execute(update).rowcount)
        return str(row.user_id)

    async def remove(self, user_id: str, factor_id: str | None = None) -> None:
        """Take a factor away, or all of them.

        :raises NotFoundError: there is no such one.
        """
        this = _is_of(user_id) if factor_id is None else _is_of(user_id) & (factors.c.id == factor_id)
        traced = self._traced(user_id, "removed", factor_id or "all")

        def work(connection: sa.Connection) -> None:
            if not connection.execute(factors.delete().where(this)).rowcount and factor_id is not None:
                raise NotFoundError(f"there is no factor {factor_id[:64]!r} of theirs")
            left = connection.scalars(sa.select(factors.c.kind).where(_is_of(user_id))).all()
            if not set(left) & {TOTP, PASSKEY}:
                # Codes that recover nothing are of no use but to a thief.
                connection.execute(factors.delete().where(_is_of(user_id)))
            traced(connection)

        await self._db.write(work)

    async def _credentials(self, user_id: str) -> Sequence[str]:
        query = sa.select(factors.c.credential).where(_is_of(user_id, PASSKEY))
        return await self._db.read(lambda connection: list(connection.scalars(query)))

    def _adding(
        self,
        user_id: str,
        kind: str,
        name: str,
        *,
        data: bytes = b"",
        credential: str | None = None,
        last_step: int = 0,
    ) -> Any:
        traced, now = self._traced(user_id, "created", kind), rfc3339(self._clock.now())

        def add(connection: sa.Connection) -> None:
            mine = sa.select(sa.func.count()).where(_is_of(user_id) & (factors.c.kind != RECOVERY))
            if (connection.scalar(mine) or 0) >= FACTORS_PER_USER_MAX:
                raise TooManyError(f"a person has {FACTORS_PER_USER_MAX} factors at most")
            connection.execute(
                factors.insert().values(
                    id=new_id(),
                    user_id=user_id,
                    kind=kind,
                    name=name,
                    data=data,
                    credential=credential,
                    last_step=last_step,
                    created_at=now,
                )
            )
            traced(connection)

        return add

    def _replace_codes(self, connection: sa.Connection, user_id: str, codes: Sequence[str]) -> None:
        connection.execute(factors.delete().where(_is_of(user_id, RECOVERY)))
        now = rfc3339(self._clock.now())
        rows = [
            {
                "id": new_id(),
                "user_id": user_id,
                "kind": RECOVERY,
                "name": "",
                "data": b"",
                "credential": hash_of(recovery.normal(code)),
                "last_step": 0,
                "created_at": now,
            }
            for code in codes
        ]
        connection.execute(factors.insert(), rows)

    def _traced(self, user_id: str, act: str, what: str) -> Any:
        return self._trail.note(
            "identity.factor", resource=f"user:{user_id}", details={"act": act, "factor": what}
        )


def _is_of(user_id: str, kind: str = "") -> sa.ColumnElement[bool]:
    mine: sa.ColumnElement[bool] = factors.c.user_id == user_id
    return mine & (factors.c.kind == kind) if kind else mine


def _use_up(connection: sa.Connection, factor_id: str, step: int, now: datetime) -> bool:
    """Whether the code of this step was not used yet; it is from now on, and so are earlier ones."""
    unused = (factors.c.id == factor_id) & (factors.c.last_step < step)
    update = factors.update().where(unused).values(last_step=step, used_at=rfc3339(now))
    return bool(connection.execute(update).rowcount)


def _factor(row: sa.Row[Any]) -> Factor:
    return Factor(
        id=row.id,
        kind=row.kind,
        name=row.name,
        created_at=parse_rfc3339(row.created_at),
        used_at=parse_rfc3339(row.used_at) if row.used_at else None,
    )
