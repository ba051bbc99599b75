"""Serving the application: one function, whatever engine does it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from runstead.kernel.capability import ASGIApp
from runstead.platform.config.settings import ServerSettings
from runstead.platform.http.lifecycle import Lifecycle

_log = structlog.get_logger("http")

#: Seconds that the engine gets to close connections after their requests were cut.
_CUT_SECONDS: Final = 2.0


class Engine(Protocol):
    """An HTTP server that runs in our event loop, on a socket that already listens."""

    async def run(self) -> None:
        """Serve until :meth:`stop` was called and every connection is closed. Owns the socket."""
        ...

    def stop(self) -> None:
        """Close the socket and idle connections, let the requests under way finish."""
        ...


async def serve(
    app: ASGIApp, settings: ServerSettings, *, stop: asyncio.Event, on_ready: Callable[[str], None]
) -> None:
    """Serve until ``stop`` is set, then drain.

    On ``stop`` the listening socket closes, ``/ready`` answers 503 on connections that are kept alive, endless answers end
    themselves, and requests under way get ``shutdown_grace_seconds``; what then still runs is cancelled.

    :param on_ready: called once with the URL of the actual address (of port 0 the one that was given) when connections are
        taken.
    :raises OSError: when the address cannot be listened on.
    """
    listener = _listen(settings)
    url = _url(listener, settings)
    lifecycle = Lifecycle(app)
    engine = _engine(lifecycle, listener, settings)
    running = asyncio.create_task(engine.run(), name="http-engine")
    stopping = asyncio.create_task(stop.wait(), name="http-stop")
    try:
        on_ready(url)
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await _drain(engine, running, lifecycle, settings.shutdown_grace_seconds)


async def _drain(
    engine: Engine, running: asyncio.Task[None], lifecycle: Lifecycle, grace_seconds: float
) -> None:
    lifecycle.draining.set()
    if not running.done():
        engine.stop()
        await asyncio.wait({running}, timeout=grace_seconds)
    if not running.done():
        _log.warning("requests cut off", requests=lifecycle.cut(), after_seconds=grace_seconds)
        await asyncio.wait({running}, timeout=_CUT_SECONDS)
    if not running.done():
        _log.error("the HTTP engine did not stop", after_seconds=grace_seconds + _CUT_SECONDS)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return
    running.result()


def _engine(app: ASGIApp, listener: socket.socket, settings: ServerSettings) -> Engine:
    if settings.engine == "uvicorn":
        from runstead.platform.http.engine_uvicorn import UvicornEngine

        return UvicornEngine(app, listener, settings)
    from runstead.platform.http.engine_granian import GranianEngine

    return GranianEngine(app, listener, settings)


def _listen(settings: ServerSettings) -> socket.socket:
    host = settings.host.strip("[]")
    infos = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name may have several addresses; IPv4 first, for that is what people type.
    family, kind, protocol, _name, address = min(infos, key=lambda info: info[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by the connections that are accepted; without it small answers wait for the peer's delayed ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(settings.backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket, settings: ServerSettings) -> str:
    address, port = listener.getsockname()[:2]
    name = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    return f"{'https' if settings.tls_cert else 'http'}://{name}:{port}"
