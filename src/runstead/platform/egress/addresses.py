"""Which addresses may be asked. What is not public by the registries of IANA (RFC 6890) is not, and neither is what carries
such an address inside: mapped, translated and tunnelled ones.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final

_IP = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: RFC 6052: IPv4 inside IPv6, well-known and local prefix.
_NAT64: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
#: Global by the letter, and yet of no server that anybody means: documentation, benchmarks, relays, reserved.
_ODD: Final = tuple(
    ipaddress.ip_network(one)
    for one in ("192.88.99.0/24", "240.0.0.0/4", "3fff::/20", "5f00::/16", "100::/64", "fec0::/10", "::/96")
)


def networks_of(names: Iterable[str]) -> tuple[_Network, ...]:
    """Addresses and networks (``10.1.0.0/16``).

    :raises ValueError: one is neither.
    """
    return tuple(ipaddress.ip_network(name) for name in names)


def refusal(address: str, allowed: Sequence[_Network] = ()) -> str | None:
    """Why an address may not be asked; None: it may.

    :param allowed: networks that the operator lets through although they are not public.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "it is no address"
    # An address counts as the operator's only as what it is in the end, not by what it is wrapped in.
    inner = _innermost(ip)
    if any(inner in network for network in allowed if network.version == inner.version):
        return None
    return None if _is_public(ip) and _is_public(inner) else "it is not public"


def _is_public(ip: _IP) -> bool:
    if isinstance(ip, ipaddress.IPv6Address) and _wrapped(ip) is not None:
        # What counts is what is inside, which is asked about as well.
        return True
    odd = any(ip in network for network in _ODD if network.version == ip.version)
    return ip.is_global and not ip.is_multicast and not odd


def _innermost(ip: _IP) -> _IP:
    while isinstance(ip, ipaddress.IPv6Address) and (inner := _wrapped(ip)) is not None:
        ip = inner
    return ip


def _wrapped(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped, 6to4, Teredo, NAT64."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if any(ip in network for network in _NAT64):
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return None
