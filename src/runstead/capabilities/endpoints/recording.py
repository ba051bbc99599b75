"""Handing results on to be recorded, through the outbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy

from runstead.capabilities.endpoints.model import RunReport
from runstead.capabilities.endpoints.ports import Redactor
from runstead.capabilities.endpoints.redaction import redact_json
from runstead.kernel.clock import rfc3339
from runstead.platform.storage.sql import Database, Outbox

TOPIC = "endpoints.finished"


class OutboxRecorder:
    """Writes ``endpoints.finished`` events: durable when :meth:`finished` returns, delivered at least once afterwards.

    Run folders are the store of runs, so the event is alone in its transaction.
    """

    def __init__(self, db: Database, redactor: Redactor) -> None:
        self._db = db
        self._redactor = redactor

    async def finished(self, report: RunReport, answer: Mapping[str, Any] | None) -> None:
        payload = redact_json(event_payload(report, answer), self._redactor)

        def work(connection: sqlalchemy.Connection) -> None:
            Outbox.add(connection, TOPIC, payload)

        await self._db.write(work)


def event_payload(report: RunReport, answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """``{run_id, name, artifact, summary, finished_at}``."""
    result = report.as_json()
    kept = ("status", "code", "message", "exit_code", "signal", "limit", "duration_ms", "request_id")
    outcome = {name: result[name] for name in kept if result[name] is not None}
    return {
        "run_id": report.run_id,
        "name": report.endpoint,
        "artifact": {**outcome, **(answer or {})},
        "summary": _summary(report, answer),
        "finished_at": rfc3339(report.ended_at),
    }


def _summary(report: RunReport, answer: Mapping[str, Any] | None) -> str:
    took = f"in {report.duration_ms:.0f} ms"
    if answer is None:
        return f"{report.status.value} with {report.code} {took}"
    results, entries = (len(answer.get(key, ())) for key in ("results", "new_entries"))
    return f"{report.status.value} {took}: {results} results, {entries} entries"
