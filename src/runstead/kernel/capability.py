"""The one value that a capability hands to the hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from runstead.kernel.privacy import PersonalData

#: ASGI 3.0 in three names (asgi.readthedocs.io/en/latest/specs/main.html).
Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Dispatcher(Protocol):
    """Routes that come and go while the server runs. Asked before the router, so it must be cheap."""

    def match(self, scope: Scope) -> ASGIApp | None:
        """The application that serves this request, or None when it is not one of ours."""
        ...

    def openapi_paths(self) -> Mapping[str, Any]:
        """The OpenAPI 3.1 ``paths`` object of what is registered right now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One dependency on the health page.

    ``probe`` returns facts to show; it raises when the dependency is not usable. A failing check that is not
    ``critical`` makes the server degraded, a critical one makes it unready.
    """

    name: str
    probe: Callable[[], Awaitable[Mapping[str, Any]]]
    critical: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A page that the web console draws. ``script`` is a path below the console's static files."""

    title: str
    path: str
    script: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Everything that the hosts need to know of a capability."""

    name: str
    #: Litestar route handlers, controllers or routers.
    routes: Sequence[Any] = ()
    dispatchers: Sequence[Dispatcher] = ()
    panels: Sequence[Panel] = ()
    #: ``module:attribute`` of the command group, imported only when it is called.
    commands: str | None = None
    #: The folder of its Alembic revisions.
    migrations: Path | None = None
    #: What bootstrap connects to the ports of others.
    services: Mapping[str, Any] = field(default_factory=dict)
    checks: Sequence[HealthCheck] = ()
    #: What it knows of people.
    personal: PersonalData | None = None
    #: Opened after the platform, closed before it.
    lifespan: Callable[[], AbstractAsyncContextManager[None]] | None = None
