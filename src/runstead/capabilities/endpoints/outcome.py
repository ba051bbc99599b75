"""What a program's end means for the caller. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from runstead.capabilities.endpoints.entry import parse_result
from runstead.capabilities.endpoints.errors import (
    ScriptError,
    ScriptExitError,
    ScriptLimitError,
    ScriptOutputError,
    ScriptTimeoutError,
)
from runstead.capabilities.endpoints.model import RunStatus
from runstead.capabilities.endpoints.settings import EndpointSettings
from runstead.kernel.errors import RunsteadError
from runstead.kernel.limits import KIB, MIB

#: How much of the end of stderr a caller is shown.
STDERR_TAIL_BYTES = 4 * KIB


class Ended(Protocol):
    """What is asked of the end of a process."""

    @property
    def code(self) -> int | None: ...
    @property
    def signal(self) -> str | None: ...
    @property
    def limit(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """Either an answer or an error."""

    status: RunStatus
    answer: dict[str, Any] | None = None
    error: RunsteadError | None = None

    @property
    def code(self) -> str | None:
        return self.error.code if self.error is not None else None


def stderr_tail(stderr: bytes, size: int = STDERR_TAIL_BYTES) -> str:
    """The last bytes as text, not beginning within a character."""
    tail = stderr[-size:] if len(stderr) > size else stderr
    if len(tail) < len(stderr):
        start = 0
        while start < min(3, len(tail)) and tail[start] & 0xC0 == 0x80:
            start += 1
        tail = tail[start:]
    return tail.decode("utf-8", "replace")


def judge(end: Ended, stdout: bytes, stderr: bytes, settings: EndpointSettings) -> Verdict:
    """Decide what the caller is told.

    :param stderr: masked already, since its tail goes into the details.
    """
    error: ScriptError
    tail = {"stderr": stderr_tail(stderr)}
    if end.limit == "wall":
        error = ScriptTimeoutError(details={"timeout_ms": settings.timeout_ms, **tail})
        return Verdict(RunStatus.LIMITED, error=error)
    if end.limit is not None:
        allowed = _allowed(end.limit, settings)
        error = ScriptLimitError(
            f"The program hit its limit of {end.limit} and was stopped.",
            details={"limit": end.limit, "allowed": allowed, **tail},
        )
        return Verdict(RunStatus.LIMITED, error=error)
    if end.signal is not None:
        error = ScriptExitError(
            f"The program was ended by {end.signal}.", details={"signal": end.signal, **tail}
        )
        return Verdict(RunStatus.FAILED, error=error)
    if end.code != 0:
        error = ScriptExitError(
            f"The program ended with exit code {end.code}.", details={"exit_code": end.code, **tail}
        )
        return Verdict(RunStatus.FAILED, error=error)
    try:
        return Verdict(RunStatus.SUCCEEDED, answer=parse_result(stdout))
    except ValueError as invalid:
        error = ScriptOutputError(details={"reason": str(invalid)[:1000], **tail})
        return Verdict(RunStatus.FAILED, error=error)


def _allowed(limit: str, settings: EndpointSettings) -> int | None:
    return {
        "cpu": settings.max_cpu_seconds,
        "memory": settings.max_memory_mb * MIB,
        "output": settings.max_output_bytes,
        "processes": settings.max_processes,
        "file_size": settings.max_artifact_bytes,
    }.get(limit)
