"""The server's own log: structlog and the standard library's loggers end in the same lines."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, TextIO

import structlog

from runstead.kernel.clock import Clock, SystemClock, rfc3339
from runstead.platform.config.settings import ObservabilitySettings
from runstead.platform.observability.context import current_fields
from runstead.platform.observability.redaction import Redactor
from runstead.platform.observability.rendering import (
    LineRenderer,
    console_renderer,
    format_exception,
    render_json,
)
from runstead.platform.observability.rotation import RotatingFile

#: Below the standard library's DEBUG; for what only someone who hunts a bug wants to see.
TRACE: Final = 5

LEVELS: Final[Mapping[str, int]] = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class LogOutput:
    """Where lines go. Never raises: a full disk must not take the server down with it; what was lost is counted."""

    def __init__(
        self,
        targets: Sequence[tuple[LineRenderer, Callable[[str], None]]],
        *,
        clock: Clock,
        close: Callable[[], None],
    ) -> None:
        """Build an output of several targets, each a renderer and what writes its lines."""
        self._targets = targets
        self._clock = clock
        self.lines_lost = 0
        #: Close the files. The stream belongs to someone else.
        self.close = close

    def emit(self, level: str, event: MutableMapping[str, Any]) -> None:
        """Write one event. ``event`` holds ``message`` and the fields; it is changed."""
        try:
            self._emit(level, event)
        except Exception:  # noqa: BLE001 - see the class docstring
            self.lines_lost += 1

    def _emit(self, level: str, event: MutableMapping[str, Any]) -> None:
        error = _exception_of(event.pop("exc_info", None))
        whole: dict[str, Any] = {
            "timestamp": rfc3339(self._clock.now()),
            "level": level,
            "message": event.pop("message", ""),
            **current_fields(),
            **event,
        }
        if error is not None:
            whole["exception"] = format_exception(error)
        for render, write in self._targets:
            write(render(whole))


def _stream_writer(stream: TextIO) -> Callable[[str], None]:
    lock = threading.Lock()

    def write(line: str) -> None:
        with lock:
            stream.write(line + "\n")
            stream.flush()

    return write


def _exception_of(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


class _StandardHandler(logging.Handler):
    """Brings the records of the standard library's loggers into our lines."""

    def __init__(self, output: LogOutput) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the format must not lose the line
            message = f"{record.msg} {record.args!r}"
        event: dict[str, Any] = {"message": message, "logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        self._output.emit(_level_name(record.levelno), event)


def _level_name(number: int) -> str:
    for name in ("critical", "error", "warning", "info", "debug"):
        if number >= LEVELS[name]:
            return name
    return "trace"


class _Final:
    """The last structlog processor: hands the event over and drops it, so that no second logger writes it."""

    def __init__(self, output: LogOutput) -> None:
        self._output = output

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        event["message"] = event.pop("event", "")
        if logger:
            event["logger"] = logger
        self._output.emit("error" if method == "exception" else method, event)
        raise structlog.DropEvent


def configure_logging(
    settings: ObservabilitySettings,
    redactor: Redactor,
    *,
    profile: str = "",
    stream: TextIO | None = None,
    clock: Clock | None = None,
) -> LogOutput:
    """Route every log line of this process to the stream (standard error) and, when set, to a rotating file.

    ``auto`` is console on a terminal or in the profile ``dev``, else JSON. Files are always JSON. May be called again: the
    new configuration replaces the old one; the caller closes the output that it got before.
    """
    stream = sys.stderr if stream is None else stream
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and (profile == "dev" or stream.isatty())
    )
    render = console_renderer(stream.isatty()) if console else render_json
    targets = [(LineRenderer(render, redactor), _stream_writer(stream))]
    close: Callable[[], None] = _nothing_to_close
    if settings.log_file:
        file = RotatingFile(
            settings.log_file,
            bytes_max=settings.log_max_bytes,
            files_max=settings.log_files,
        )
        targets.append((LineRenderer(render_json, redactor), file.write))
        close = file.close
    output = LogOutput(targets, clock=clock or SystemClock(), close=close)
    level = LEVELS[settings.log_level.lower()]
    structlog.configure(
        processors=[_Final(output)],
        wrapper_class=structlog.make_filtering_bound_logger(max(level, logging.DEBUG)),
        logger_factory=_logger_name,
        cache_logger_on_first_use=False,
    )
    _route_standard_library(output, level)
    return output


def _logger_name(*args: Any) -> str:
    """structlog's name for what receives the result of the last processor; ours needs no more than its name."""
    return str(args[0]) if args else ""


def _nothing_to_close() -> None:
    """There is no file."""


def _route_standard_library(output: LogOutput, level: int) -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _StandardHandler)]:
        root.removeHandler(handler)
    root.addHandler(_StandardHandler(output))
    # What libraries say at INFO only they care for (alembic names each plugin that it loads).
    root.setLevel(max(level, logging.WARNING) if level > logging.DEBUG else level)
    logging.raiseExceptions = False
    for noisy in ("asyncio", "httpx", "httpcore", "urllib3", "hpack"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
