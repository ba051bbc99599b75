"""The server's one ASGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from runstead.kernel.capability import ASGIApp, Capability, Receive, Scope, Send
from runstead.platform.config.settings import ServerSettings
from runstead.platform.http.builtin import builtin_routes
from runstead.platform.http.dispatch import Dispatch
from runstead.platform.http.documentation import DOCUMENTATION_ROUTES
from runstead.platform.http.info import ServerInfo
from runstead.platform.http.middleware.access import Access
from runstead.platform.http.middleware.authentication import Authentication, Witness
from runstead.platform.http.middleware.body_limit import BodyLimit, BodyLimiter
from runstead.platform.http.middleware.compression import Compression
from runstead.platform.http.middleware.cors import Cors
from runstead.platform.http.middleware.csrf import Csrf
from runstead.platform.http.middleware.error_boundary import ErrorBoundary
from runstead.platform.http.middleware.forwarded import Forwarded
from runstead.platform.http.middleware.origin_guard import OriginGuard
from runstead.platform.http.middleware.request_id import RequestId
from runstead.platform.http.middleware.security_headers import SecurityHeaders
from runstead.platform.http.middleware.trace import Trace
from runstead.platform.http.middleware.transport import Transport
from runstead.platform.http.openapi import ApiDescription
from runstead.platform.http.router import body_limits_of, build_router, methods_of
from runstead.platform.identity import Identity
from runstead.platform.observability import Health, Metrics, Redactor, Tracing

Layer = Callable[[ASGIApp], ASGIApp]
Lifespan = Callable[[], AbstractAsyncContextManager[None]]


def build_app(
    *,
    capabilities: Sequence[Capability],
    settings: ServerSettings,
    identity: Identity,
    health: Health,
    metrics: Metrics,
    info: ServerInfo | None = None,
    routes: Sequence[Any] = (),
    body_limits: Iterable[BodyLimit] = (),
    lifespan: Lifespan | None = None,
    tracing: Tracing | None = None,
    witness: Witness | None = None,
    rates: Layer | None = None,
    redactor: Redactor | None = None,
) -> ASGIApp:
    """Put the stack around what the capabilities serve. No I/O.

    The capabilities' health checks are added to ``health``. ``lifespan`` is for servers that speak the lifespan protocol;
    :func:`serve` does not, its caller opens everything before it. ``witness`` hears of whom the stack refused. ``rates``
    is a layer that counts requests, right behind the authentication. ``redactor`` keeps secrets
    out of errors and request ids.
    """
    info = info or ServerInfo()
    for capability in capabilities:
        health.add(*capability.checks)
    dispatchers = [dispatcher for capability in capabilities for dispatcher in capability.dispatchers]
    handlers = [*routes, *(route for capability in capabilities for route in capability.routes)]
    description = ApiDescription(info=info, dispatchers=dispatchers)
    handlers += builtin_routes(health=health, metrics=metrics, info=info, openapi=description.document)
    handlers += DOCUMENTATION_ROUTES
    description.handlers = handlers
    router = build_router(handlers)
    # Not every dispatcher takes more than the server's default.
    limits = [limit for dispatcher in dispatchers for limit in getattr(dispatcher, "body_limits", ())]
    limits += [*body_limits, *body_limits_of(router)]
    askable = [one.body_limit_of for one in dispatchers if hasattr(one, "body_limit_of")]

    # The first is the outermost.
    layers: list[Layer] = [
        partial(Forwarded, trusted=settings.trusted_proxies),
        partial(RequestId, is_secret=redactor.matches if redactor else None),
        partial(Access, metrics=metrics, log=settings.access_log),
        *([partial(Trace, tracing=tracing)] if tracing is not None else ()),
        partial(SecurityHeaders, changes=settings.headers, policy=settings.content_security_policy),
        *([partial(Cors, policy=settings.cors)] if settings.cors.origins else ()),
        partial(ErrorBoundary, redactor=redactor),
        *([partial(Transport, policy=settings.https)] if settings.https != "off" else ()),
        partial(OriginGuard, host=settings.host, allowed_hosts=settings.allowed_hosts),
        partial(BodyLimiter, default=settings.body_max_bytes, limits=limits, askable=askable),
        partial(Authentication, identity=identity, witness=witness),
        *([rates] if rates is not None else ()),
        partial(Csrf, identity=identity),
        Compression,
    ]
    app: ASGIApp = Dispatch(dispatchers, router, methods_of(router))
    for layer in reversed(layers):
        app = layer(app)
    return Application(app, lifespan)


class Application:
    """The door: requests go to the stack; a server that speaks the lifespan protocol is served too."""

    def __init__(self, stack: ASGIApp, lifespan: Lifespan | None) -> None:
        self._stack = stack
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._stack(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        stage = "startup"
        try:
            if self._lifespan is None:
                await send({"type": "lifespan.startup.complete"})
                await receive()
            else:
                async with self._lifespan():
                    await send({"type": "lifespan.startup.complete"})
                    stage = "shutdown"
                    await receive()
        except Exception as error:
            await send({"type": f"lifespan.{stage}.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})
