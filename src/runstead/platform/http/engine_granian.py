"""Granian, embedded in our own event loop: no supervisor process, no second interpreter."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Final

from granian import net
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.embed import Server

from runstead.kernel.capability import ASGIApp
from runstead.kernel.limits import KIB
from runstead.platform.config.settings import ServerSettings

#: Bytes of a request's head; more is answered with 431.
HEAD_BYTES_MAX: Final = 64 * KIB

#: Seconds for a request's head to arrive, also the time that an idle connection is kept.
HEAD_SECONDS_MAX: Final = 75

#: Seconds that its threads get to end.
_THREADS_SECONDS_MAX: Final = 1.0

#: Granian configures logging itself unless it is told that there is nothing to configure.
_LOGGING: Final[dict[str, Any]] = {"incremental": True, "formatters": {}, "handlers": {}, "loggers": {}}


#: Granian's stubs know neither the constructor nor the type of the hook below.
_SocketHolder: Final[Any] = net.SocketHolder  # type: ignore[attr-defined]


class _Server(Server):
    """Granian binds its own socket, with SO_REUSEPORT and without a way to learn which port it got for 0. It takes a
    ready one from whoever overrides this hook."""

    def __init__(self, listener: socket.socket, **options: Any) -> None:
        super().__init__(**options)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        self._ssp = None
        # Granian closes it when it stops listening, so it must be the only owner.
        self._shd = _SocketHolder(self._listener.detach(), False, self.backlog)


class _NotExperimental(logging.Filter):
    """Granian warns at every start that embedding is experimental. We know: it stays behind ``serve``, the same tests run
    on uvicorn, and one setting changes the engine. The user can do nothing about the line."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "experimental" not in str(record.msg)


def _native_threads() -> set[str]:
    """The threads of this process that Python did not start and nobody named: Granian's are such."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return set()
    python = {str(thread.native_id) for thread in threading.enumerate()}
    main = _name_of(tasks / str(os.getpid()))
    return {task.name for task in tasks.iterdir() if task.name not in python and _name_of(task) == main}


def _name_of(task: Path) -> str:
    try:
        return (task / "comm").read_text()
    except OSError:
        return ""


async def _wait_for_threads(before: set[str]) -> None:
    """Granian reports its end from a thread that still has Python objects to drop. When the interpreter is finalised in the
    meantime that thread panics (seen in one of ten stops under load), so its end is waited for, within reason."""
    deadline = time.monotonic() + _THREADS_SECONDS_MAX
    while _native_threads() - before and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing signals the end
        await asyncio.sleep(0.002)


class GranianEngine:
    """See :class:`~runstead.platform.http.server.Engine`."""

    def __init__(self, app: ASGIApp, listener: socket.socket, settings: ServerSettings) -> None:
        logger = logging.getLogger("_granian")
        if not any(isinstance(known, _NotExperimental) for known in logger.filters):
            logger.addFilter(_NotExperimental())
        self._server = _Server(
            listener,
            target=app,
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGINL,
            # In clear text HTTP/2 is for nobody, and telling the two apart waits without a time limit for the first bytes.
            http=HTTPModes.auto if settings.tls_cert else HTTPModes.http1,
            websockets=True,
            backlog=settings.backlog,
            # The number of connections held at once: without it the backlog would be the limit.
            backpressure=settings.connections_max,
            http1_settings=HTTP1Settings(
                header_read_timeout=HEAD_SECONDS_MAX * 1000, max_buffer_size=HEAD_BYTES_MAX
            ),
            http2_settings=HTTP2Settings(max_headers_size=HEAD_BYTES_MAX, keep_alive_interval=30_000),
            log_level=LogLevels.warning,
            log_dictconfig=_LOGGING,
            ssl_cert=settings.tls_cert,
            ssl_key=settings.tls_key,
            ssl_protocol_min=SSLProtocols.tls12,
        )

    async def run(self) -> None:
        before = _native_threads()
        await self._server.serve()
        await _wait_for_threads(before)

    def stop(self) -> None:
        self._server.stop()  # type: ignore[no-untyped-call]
