"""Addresses that are shut out, and addresses that are exempt from rates."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import sqlalchemy as sa

from runstead.kernel.clock import Clock, parse_rfc3339, rfc3339
from runstead.kernel.errors import BadRequestError, ConflictError, NotFoundError
from runstead.kernel.ids import new_id
from runstead.kernel.trail import Trail
from runstead.platform.identity.asking import asking
from runstead.platform.limits.tables import addresses
from runstead.platform.storage.sql import Database

Kind = Literal["block", "allow"]
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ENTRIES_MAX: Final = 10_000
#: Seconds that other nodes may need to hear of a change.
BELIEVED_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAddress:
    """An entry of the lists."""

    id: str
    kind: Kind
    network: str
    reason: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None


class AddressLists:
    """The lists. An address that is on both is let through: an operator must be able to undo a block that is too wide."""

    def __init__(self, db: Database, *, trail: Trail, clock: Clock) -> None:
        self._db = db
        self._trail = trail
        self._clock = clock
        self._read_at = float("-inf")
        self._known: dict[Kind, list[tuple[_Network, datetime | None]]] = {"block": [], "allow": []}

    async def verdict(self, address: str) -> Kind | None:
        """What holds for an address; None: the rates."""
        await self._refresh()
        if not any(self._known.values()):
            return None
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return None
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        now = self._clock.now()
        for kind in ("allow", "block"):
            if any(ip in network and (end is None or end > now) for network, end in self._known[kind]):
                return kind
        return None

    async def add(
        self, kind: Kind, network: str, *, reason: str, expires_at: datetime | None
    ) -> ListedAddress:
        """Put an address or a network on a list.

        :raises BadRequestError: it is neither, or it would shut out everybody.
        :raises ConflictError: it is on the list, or the list is full.
        """
        try:
            parsed = ipaddress.ip_network(network.strip(), strict=False)
        except ValueError:
            raise BadRequestError(
                f"found {network!r}, allowed: an address or a network, as 203.0.113.0/24"
            ) from None
        if kind == "block" and parsed.prefixlen == 0:
            raise BadRequestError("that is everybody, you included")
        now = rfc3339(self._clock.now())
        values = {
            "id": new_id(),
            "kind": kind,
            "network": str(parsed),
            "reason": reason,
            "created_at": now,
            "created_by": asking().actor,
            "expires_at": rfc3339(expires_at) if expires_at else None,
        }
        details = {"reason": reason, "expires_at": values["expires_at"]}
        traced = self._trail.note(f"limit.{kind}", resource=f"address:{parsed}", details=details)

        def work(connection: sa.Connection) -> ListedAddress:
            connection.execute(addresses.delete().where(addresses.c.expires_at <= now))
            same = (addresses.c.kind == kind) & (addresses.c.network == str(parsed))
            if connection.execute(addresses.select().where(same)).first() is not None:
                raise ConflictError(f"{parsed} is on the list already")
            if (connection.scalar(sa.select(sa.func.count()).select_from(addresses)) or 0) >= ENTRIES_MAX:
                raise ConflictError(f"the lists have {ENTRIES_MAX} entries at most")
            connection.execute(addresses.insert().values(**values))
            traced(connection)
            return _entry(connection.execute(addresses.select().where(same)).one())

        entry = await self._db.write(work)
        self._read_at = float("-inf")
        return entry

    async def remove(self, entry_id: str) -> None:
        """Take an entry off its list.

        :raises NotFoundError: there is none.
        """
        this = addresses.c.id == entry_id
        traced = self._trail.note("limit.remove", resource=f"address-entry:{entry_id}")

        def work(connection: sa.Connection) -> None:
            if not connection.execute(addresses.delete().where(this)).rowcount:
                raise NotFoundError(f"there is no entry {entry_id[:64]!r}")
            traced(connection)

        await self._db.write(work)
        self._read_at = float("-inf")

    async def list(self) -> Sequence[ListedAddress]:
        """All entries that hold, the oldest first."""
        now = rfc3339(self._clock.now())
        holds = addresses.c.expires_at.is_(None) | (addresses.c.expires_at > now)
        query = addresses.select().where(holds).order_by(addresses.c.id)
        return await self._db.read(lambda connection: [_entry(row) for row in connection.execute(query)])

    async def _refresh(self) -> None:
        now = self._clock.monotonic()
        if now - self._read_at < BELIEVED_SECONDS:
            return
        # Before the first await: of many requests at once, one reads.
        self._read_at = now
        known: dict[Kind, list[tuple[_Network, datetime | None]]] = {"block": [], "allow": []}
        for entry in await self.list():
            known[entry.kind].append((ipaddress.ip_network(entry.network), entry.expires_at))
        self._known = known


def _entry(row: sa.Row[tuple[object, ...]]) -> ListedAddress:
    return ListedAddress(
        id=row.id,
        kind=row.kind,
        network=row.network,
        reason=row.reason,
        created_at=parse_rfc3339(row.created_at),
        created_by=row.created_by,
        expires_at=parse_rfc3339(row.expires_at) if row.expires_at else None,
    )
