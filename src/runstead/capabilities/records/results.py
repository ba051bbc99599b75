"""The results of this server's own runs, made into records."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import structlog

from runstead.capabilities.records.canonical import DEPTH_MAX, INTEGER_MAX
from runstead.capabilities.records.errors import InvalidRecordError, RecordTooLargeError, RunConflictError
from runstead.capabilities.records.model import RECORD_BYTES_MAX
from runstead.capabilities.records.service import RecordsService
from runstead.kernel.events import Event

_log = structlog.get_logger("records")

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARS_MAX: Final = 128


class ResultRecorder:
    """Takes ``{run_id, name, artifact, summary, finished_at}`` from the outbox.

    Delivery is at least once; the run's id makes a repetition a duplicate. What the store cannot take now is raised, so that
    the outbox tries again; what it can never take is logged and dropped, for trying again would not help.
    """

    def __init__(self, service: RecordsService, *, organization: str, project: str) -> None:
        self._service = service
        self._organization = organization
        self._project = project

    async def handle(self, event: Event) -> None:
        """Record the result that the event tells of: a handler for the outbox."""
        document = self._document(event.payload)
        try:
            await self._record(document, sent_by=f"server:{event.topic.partition('.')[0]}")
        except (InvalidRecordError, RunConflictError) as error:
            _log.error(
                "result not recorded",
                run_id=document["run_id"],
                service=document["service"],
                code=error.code,
                details=error.details,
            )

    async def _record(self, document: dict[str, Any], *, sent_by: str) -> None:
        try:
            await self._service.ingest(document, actor=sent_by)
        except RecordTooLargeError:
            left_out = {"omitted": f"the result has more than {RECORD_BYTES_MAX} bytes"}
            await self._service.ingest({**document, "artifact": left_out, "summary": None}, actor=sent_by)

    def _document(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        artifact = fitting(payload.get("artifact"))
        return {
            "organization": self._organization,
            "project": self._project,
            "service": service_name(str(payload.get("name", ""))),
            "run_id": payload["run_id"],
            "generated_at": payload.get("finished_at"),
            "artifact": artifact if isinstance(artifact, dict) else {"result": artifact},
            "summary": fitting(payload.get("summary")),
        }


def service_name(name: str) -> str:
    """The name of a job or endpoint as the name of a service."""
    return _NOT_IN_NAMES.sub("-", name).lstrip(".")[:_NAME_CHARS_MAX] or "unnamed"


def fitting(value: Any, depth: int = 0) -> Any:
    """The value in what canonical JSON can hold: what it cannot becomes text.

    Senders are told to mend such a document; a program's result is kept as well as can be.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict | list) and depth == DEPTH_MAX:
        return f"omitted: more than {DEPTH_MAX} levels of nesting"
    if isinstance(value, dict):
        return {fitting(str(key)): fitting(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [fitting(inner, depth + 1) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -INTEGER_MAX <= value <= INTEGER_MAX:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return str(value)
