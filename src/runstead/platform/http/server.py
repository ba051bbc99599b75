"""Serving the application: one function, whatever engine does it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from runstead.kernel.capability import ASGIApp
from runstead.platform.config.settings import ServerSettings
from runstead.platform.http.lifecycle import Lifecycle

_log = structlog.get_logger("http")

#: Seconds that the engine gets to close connections after their requests were cut.
_CUT_SECONDS: Final = 2.0

#: Seconds between two looks at the files of the certificate.
CERTIFICATE_LOOK_SECONDS: Final = 15.0


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
    serving = _Serving(lifecycle, listener, settings)
    stopping = asyncio.create_task(stop.wait(), name="http-stop")
    renewing = asyncio.create_task(serving.renew(), name="http-certificate")
    try:
        on_ready(url)
        await asyncio.wait({serving.running, stopping, renewing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopping, renewing):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await serving.drain()


class _Serving:
    """The engine that serves, and those that a new certificate has replaced and that still have connections."""

    def __init__(self, lifecycle: Lifecycle, listener: socket.socket, settings: ServerSettings) -> None:
        self._lifecycle = lifecycle
        self._settings = settings
        # Engines close what they are given; a further one needs the socket, too.
        self._listener = listener if settings.tls_cert else None
        self._retired: set[asyncio.Task[None]] = set()
        self._start(listener.dup() if self._listener else listener)

    def _start(self, listener: socket.socket) -> None:
        self._engine = _engine(self._lifecycle, listener, self._settings)
        self.running = asyncio.create_task(self._engine.run(), name="http-engine")

    async def renew(self) -> None:
        """Serve with another certificate from the moment that its files change; connections that are open keep the old one."""
        cert, key = self._settings.tls_cert, self._settings.tls_key
        if cert is None or key is None:
            await asyncio.Event().wait()
            return
        known = _stamp(cert, key)
        while True:
            await asyncio.sleep(CERTIFICATE_LOOK_SECONDS)
            if (now := _stamp(cert, key)) == known:
                continue
            known = now
            try:
                ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
            except (OSError, ssl.SSLError) as error:
                # Half of the pair may not be written yet; the next change is looked at again.
                _log.error("the new certificate cannot be used, the old one stays", error=str(error))
                continue
            self._replace()
            _log.info("serving with a new certificate", certificate=str(cert))

    def _replace(self) -> None:
        assert self._listener is not None  # noqa: S101 - only with a certificate
        old, retired = self._engine, self.running
        self._start(self._listener.dup())
        old.stop()
        self._retired.add(retired)
        retired.add_done_callback(self._retired.discard)

    async def drain(self) -> None:
        """Take nothing new, wait, then cut."""
        if self._listener is not None:
            self._listener.close()
        self._lifecycle.draining.set()
        grace = self._settings.shutdown_grace_seconds
        running = {self.running, *self._retired}
        if not self.running.done():
            self._engine.stop()
        await asyncio.wait(running, timeout=grace)
        if any(not one.done() for one in running):
            _log.warning("requests cut off", requests=self._lifecycle.cut(), after_seconds=grace)
            await asyncio.wait(running, timeout=_CUT_SECONDS)
        for one in running:
            if one.done():
                one.result()
                continue
            _log.error("the HTTP engine did not stop", after_seconds=grace + _CUT_SECONDS)
            one.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await one


def _stamp(*paths: Path) -> tuple[tuple[int, int] | None, ...]:
    """Changes with the files, also when they are links to others, as certificate managers like them."""
    stamps: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            found = path.stat()
            stamps.append((found.st_mtime_ns, found.st_ino))
        except OSError:
            stamps.append(None)
    return tuple(stamps)


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
