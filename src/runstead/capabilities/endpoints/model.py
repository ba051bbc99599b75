"""The values of endpoints: what is declared, what is asked, what became of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from runstead.capabilities.endpoints.parameters import ParametersSchema
from runstead.capabilities.endpoints.routes import PathTemplate
from runstead.capabilities.endpoints.settings import EndpointSettings
from runstead.kernel.clock import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A declaration with its paths resolved."""

    name: str
    method: str
    template: PathTemplate
    script: Path
    working_dir: Path
    venv: Path | None
    settings: EndpointSettings
    parameters: ParametersSchema | None = None

    @classmethod
    def of(cls, settings: EndpointSettings, base_dir: Path) -> Endpoint:
        """Resolve a declaration that has been validated. Touches no file."""
        script = Path(os.path.normpath(base_dir / settings.script_path))
        working_dir = base_dir / settings.working_dir if settings.working_dir is not None else script.parent
        return cls(
            name=settings.name,
            method=settings.method,
            template=PathTemplate.parse(settings.path),
            script=script,
            working_dir=Path(os.path.normpath(working_dir)),
            venv=Path(os.path.normpath(base_dir / settings.venv)) if settings.venv is not None else None,
            settings=settings,
            parameters=ParametersSchema(settings.params) if settings.params is not None else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a caller asks of an endpoint."""

    entry_ids: Sequence[str] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""


class RunStatus(StrEnum):
    """How far a run has come. All but ``QUEUED`` and ``RUNNING`` are final."""

    #: It waits for its turn; nobody waits for it.
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    #: The program failed, or its output was not an answer.
    FAILED = "failed"
    #: It was stopped by one of its limits, time included.
    LIMITED = "limited"
    #: The caller went away, or the server stopped.
    CANCELLED = "cancelled"
    #: The server died while it ran.
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What ``result.json`` holds of a run that has ended. Durations in milliseconds."""

    run_id: str
    endpoint: str
    request_id: str
    status: RunStatus
    #: The stable error code that the caller got; None after a success.
    code: str | None
    message: str | None
    exit_code: int | None
    signal: str | None
    #: Which limit stopped it.
    limit: str | None
    started_at: datetime
    ended_at: datetime
    duration_ms: float
    queued_ms: float
    cpu_seconds: float | None
    max_rss_bytes: int | None
    #: From and to devices; None where the kernel does not count it.
    read_bytes: int | None
    written_bytes: int | None
    stdout_bytes: int
    stderr_bytes: int

    def as_json(self) -> dict[str, Any]:
        """The report as JSON types."""
        return {
            "run_id": self.run_id,
            "endpoint": self.endpoint,
            "request_id": self.request_id,
            "status": self.status.value,
            "code": self.code,
            "message": self.message,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "limit": self.limit,
            "started_at": rfc3339(self.started_at),
            "ended_at": rfc3339(self.ended_at),
            "duration_ms": round(self.duration_ms, 3),
            "queued_ms": round(self.queued_ms, 3),
            "cpu_seconds": self.cpu_seconds,
            "max_rss_bytes": self.max_rss_bytes,
            "read_bytes": self.read_bytes,
            "written_bytes": self.written_bytes,
            "stdout_bytes": self.stdout_bytes,
            "stderr_bytes": self.stderr_bytes,
        }
