"""Uvicorn: the engine to fall back to, an optional extra."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from runstead.kernel.capability import ASGIApp
from runstead.kernel.limits import KIB
from runstead.platform.config.settings import ServerSettings

try:
    import uvicorn
except ModuleNotFoundError as error:  # pragma: no cover - depends on what is installed
    raise ModuleNotFoundError(
        'server.engine = "uvicorn" needs the package uvicorn: pip install "runstead[uvicorn]"',
        name=error.name,
    ) from error

HEAD_BYTES_MAX: Final = 64 * KIB
IDLE_SECONDS_MAX: Final = 75


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the business of whoever called ``serve``."""
        yield


class UvicornEngine:
    """See :class:`~runstead.platform.http.server.Engine`."""

    def __init__(self, app: ASGIApp, listener: socket.socket, settings: ServerSettings) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            backlog=settings.backlog,
            timeout_keep_alive=IDLE_SECONDS_MAX,
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
            server_header=False,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        self._listener = listener
        self._server = _Server(config)

    async def run(self) -> None:
        await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        self._server.should_exit = True
