"""Slowing down guesses: after some failures an address has to wait, twice as long after each further one. Pure."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

#: Addresses remembered at once (about 200 bytes each); when more fail, the one that failed longest ago is forgotten.
ADDRESSES_MAX = 20_000


@dataclass(slots=True)
class _Record:
    failures: int = 0
    locked_until: float = 0.0
    forget_at: float = 0.0


def origin_of(address: str) -> str:
    """What counts as one guesser: an IPv4 address, or the /64 that one IPv6 host can choose from freely."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


class Lockout:
    """Counts failures by origin. Times are seconds of any one clock that does not go back.

    Each call is one step of the event loop, so that of many parallel guesses no more than ``attempts`` are
    tried: ask :meth:`locked_for` and report :meth:`failed` without awaiting in between.
    """

    def __init__(
        self, *, attempts: int = 5, first_seconds: float = 1.0, longest_seconds: float = 900.0
    ) -> None:
        self._attempts = attempts
        self._first = first_seconds
        self._longest = longest_seconds
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def locked_for(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        record = self._records.get(origin_of(address))
        return max(0.0, record.locked_until - now) if record else 0.0

    def failed(self, address: str, now: float) -> float:
        """Count a failure.

        :returns: seconds of the lock that it starts; 0 when it starts none.
        """
        origin = origin_of(address)
        record = self._records.pop(origin, None)
        if record is None or now >= record.forget_at:
            record = _Record()
        record.failures += 1
        lock = 0.0
        if record.failures >= self._attempts:
            # The exponent is capped: 2.0 ** 1024 overflows.
            doublings = min(record.failures - self._attempts, 64)
            lock = min(self._first * 2.0**doublings, self._longest)
        record.locked_until = now + lock
        # One longest lock beyond the present one: a patient guesser gains nothing by pausing for less.
        record.forget_at = record.locked_until + self._longest
        self._records[origin] = record
        while len(self._records) > ADDRESSES_MAX:
            self._records.popitem(last=False)
        return lock

    def forgive(self, address: str) -> None:
        """Take one failure back: what was counted before it was checked turned out to be none. The others stay."""
        record = self._records.get(origin_of(address))
        if record is None:
            return
        record.failures -= 1
        if record.failures <= 0:
            del self._records[origin_of(address)]
        elif record.failures < self._attempts:
            record.locked_until = 0.0

    def succeeded(self, address: str) -> None:
        """Forget what was counted."""
        self._records.pop(origin_of(address), None)
