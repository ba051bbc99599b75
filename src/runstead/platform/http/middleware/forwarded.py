"""The client behind a proxy.

What a request says of earlier hops is believed only as far as trusted proxies said it: the chain of ``Forwarded`` (RFC 7239) or
``X-Forwarded-For`` is read from its end, and the first address that is no trusted proxy is the client. From anyone else these
headers are removed, so that nothing behind this layer can believe them by mistake.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send

_HEADERS: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip"}
)
#: Longer chains are no chains of proxies.
HOPS_MAX: Final = 32
#: RFC 7239, section 4: name = token or quoted string.
_PAIR: Final = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*')

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks_of(names: Iterable[str]) -> tuple[_Network, ...]:
    """Addresses and networks (``10.0.0.0/8``).

    :raises ValueError: one is neither.
    """
    return tuple(ipaddress.ip_network(name) for name in names)


class Forwarded:
    """Outermost: everything behind it sees the client's address and scheme, and nobody's claims about them."""

    def __init__(self, app: ASGIApp, *, trusted: Sequence[str]) -> None:
        self._app = app
        self._trusted = networks_of(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        claims = [header for header in scope["headers"] if header[0] in _HEADERS]
        if claims:
            scope["headers"] = [header for header in scope["headers"] if header[0] not in _HEADERS]
            peer = (scope.get("client") or ("",))[0]
            if self._trusts(peer):
                self._believe(scope, peer, claims)
        await self._app(scope, receive, send)

    def _trusts(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._trusted)

    def _believe(self, scope: Scope, peer: str, claims: Sequence[tuple[bytes, bytes]]) -> None:
        hops = _hops(claims)
        client, scheme, host = peer, None, None
        for hop in reversed(hops[-HOPS_MAX:]):
            # This hop was written by a trusted proxy about whoever spoke to it.
            scheme, host = hop.get("proto", scheme), hop.get("host", host)
            address = _address(hop.get("for", ""))
            if address is None:
                break
            client = address
            if not self._trusts(address):
                break
        scope["client"] = (client, 0)
        if scheme in ("http", "https"):
            scope["scheme"] = (
                {"http": "ws", "https": "wss"}[scheme] if scope["type"] == "websocket" else scheme
            )
        if host:
            rest = [header for header in scope["headers"] if header[0] != b"host"]
            scope["headers"] = [*rest, (b"host", host.encode("latin-1", "replace"))]


def _hops(claims: Sequence[tuple[bytes, bytes]]) -> list[dict[str, str]]:
    """What each proxy said, the one nearest to the client first. ``Forwarded`` wins over the older headers."""
    said = {
        name: b",".join(value for key, value in claims if key == name).decode("latin-1") for name, _ in claims
    }
    if b"forwarded" in said:
        return [_pairs(element) for element in _split(said[b"forwarded"])]
    addresses = [one.strip() for one in said.get(b"x-forwarded-for", said.get(b"x-real-ip", "")).split(",")]
    hops = [{"for": address} for address in addresses]
    # These two have one value, or one a hop; the nearest proxy's is the last one.
    for header, key in ((b"x-forwarded-proto", "proto"), (b"x-forwarded-host", "host")):
        if value := said.get(header, "").rpartition(",")[2].strip():
            hops[-1][key] = value.lower() if key == "proto" else value
    return hops


def _split(text: str) -> list[str]:
    """At commas outside of quotes."""
    return [part for part in re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', text) if part.strip()]


def _pairs(element: str) -> dict[str, str]:
    pairs = {}
    for name, value in _PAIR.findall(element):
        pairs[name.lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    if "proto" in pairs:
        pairs["proto"] = pairs["proto"].lower()
    return pairs


def _address(node: str) -> str | None:
    """The address of a node, without its port; None for ``unknown``, ``_hidden`` and what is none."""
    if node.startswith("["):
        node = node[1:].partition("]")[0]
    elif node.count(":") == 1:
        node = node.partition(":")[0]
    try:
        return str(ipaddress.ip_address(node))
    except ValueError:
        return None
