"""Which house a request goes to."""

from __future__ import annotations

import ipaddress
from typing import Final

from runstead.kernel.capability import ASGIApp, Receive, Scope, Send
from runstead.kernel.errors import RunsteadError
from runstead.kernel.ids import new_id
from runstead.platform.http import json_response
from runstead.platform.http.middleware.origin_guard import host_name
from runstead.platform.tenancy.model import TenantAmbiguousError, TenantNotFoundError
from runstead.platform.tenancy.service import Tenants

_PROBES: Final = frozenset({"/healthz", "/ready"})


class TenantDoor:
    """In front of all houses. By the host name (``NAME.DOMAIN``) or a header; what names no tenant goes to the house itself.

    Naming a tenant opens nothing: each has people and credentials of its own.
    """

    def __init__(self, house: ASGIApp, *, tenants: Tenants) -> None:
        self._house = house
        self._tenants = tenants
        self._suffix = f".{tenants.settings.domain}" if tenants.settings.domain else ""
        self._header = tenants.settings.header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._house(scope, receive, send)
            return
        try:
            name = self._named(scope)
            app = self._house if name is None else self._tenants.app_of(name)
        except RunsteadError as error:
            await _refuse(error, scope, receive, send)
            return
        if name is not None:
            scope.setdefault("state", {})["tenant"] = name
        await app(scope, receive, send)

    def _named(self, scope: Scope) -> str | None:
        """The tenant that a request names; None: none.

        :raises TenantAmbiguousError: two.
        """
        found = {self._by_header(scope), self._by_host(scope)} - {None}
        if len(found) > 1:
            raise TenantAmbiguousError
        return found.pop() if found else None

    def _by_header(self, scope: Scope) -> str | None:
        if not self._header or scope["path"] in _PROBES:
            return None
        values = {value for name, value in scope["headers"] if name == self._header}
        if len(values) > 1:
            raise TenantAmbiguousError("The header names two tenants.")
        return values.pop().decode("latin-1") if values else None

    def _by_host(self, scope: Scope) -> str | None:
        if not self._suffix:
            return None
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        name = host_name(host)
        if not name.endswith(self._suffix):
            return None
        label = name.removesuffix(self._suffix)
        if "." in label or _is_address(name):
            raise TenantNotFoundError(f"there is no tenant {label[:64]!r}")
        return label


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


async def _refuse(error: RunsteadError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + error.status, "reason": error.code})
        return
    request_id = new_id()
    headers = {**error.headers, "X-Request-ID": request_id}
    await json_response(error.status, error.envelope(request_id), headers)(scope, receive, send)
