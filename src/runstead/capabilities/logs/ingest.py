"""Taking a batch: who sent it, what is in it, how much of it may come, and then the disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstead.capabilities.logs.decoding import decompress, read_events
from runstead.capabilities.logs.errors import BadBatchError, IdempotencyError, SignatureError
from runstead.capabilities.logs.events import Prepared, prepare
from runstead.capabilities.logs.figures import Figures, Outcome
from runstead.capabilities.logs.indexing import Indexer
from runstead.capabilities.logs.limits import Limits
from runstead.capabilities.logs.maintenance import Maintenance
from runstead.capabilities.logs.model import IDEMPOTENCY_SECONDS, Project, Receipt, microseconds
from runstead.capabilities.logs.projects import Projects
from runstead.capabilities.logs.signature import Signed, new_hmac_secret, verify
from runstead.capabilities.logs.store import EventStore, Idempotency, Replay
from runstead.kernel.clock import Clock
from runstead.kernel.errors import RunsteadError

_MICROSECONDS: Final = 1_000_000
_idempotency_key = re.compile(r"[\x21-\x7e]{1,128}").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A request, as it came."""

    body: bytes
    content_type: str = ""
    content_encoding: str = ""
    #: None: a repetition is not known as one.
    idempotency_key: str | None = None
    #: Store what is good when something is bad.
    partial: bool = False
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]


class Ingest:
    """Takes batches. What it has answered is on the disk."""

    def __init__(
        self,
        *,
        projects: Projects,
        store: EventStore,
        limits: Limits,
        indexer: Indexer,
        maintenance: Maintenance,
        figures: Figures,
        clock: Clock,
    ) -> None:
        self._projects = projects
        self._store = store
        self._limits = limits
        self._indexer = indexer
        self._maintenance = maintenance
        self._figures = figures
        self._clock = clock
        #: What an unknown key is checked against, so that it takes as long as a known one.
        self._nobody = new_hmac_secret()

    async def authenticate(self, project_key: str, signed: Signed, body: bytes) -> Project:
        """Whose request it is.

        :raises SignatureError: nobody's. It does not say whether the key or the signature was wrong.
        """
        sender = await self._projects.by_key(project_key)
        secret = sender.secret if sender is not None else None
        matches = verify(secret or self._nobody, signed, body, now_seconds=self._clock.now().timestamp())
        if sender is None or secret is None or not matches:
            self._figures.batch(Outcome.REFUSED)
            raise SignatureError(headers={"WWW-Authenticate": 'Signature realm="runstead logs"'})
        return sender.project

    async def take(self, project: Project, batch: Batch) -> Answer:
        """Store a batch.

        :raises RunsteadError: it cannot be stored; nothing of it was.
        """
        try:
            answer, outcome, events = await self._take(project, batch)
        except BadBatchError:
            self._figures.batch(Outcome.INVALID)
            raise
        except RunsteadError as error:
            self._figures.batch(Outcome.LIMITED if error.status == 429 else Outcome.FAILED)
            raise
        self._figures.batch(outcome, events)
        self._maintenance.poke()
        return answer

    async def _take(self, project: Project, batch: Batch) -> tuple[Answer, Outcome, int]:
        now = microseconds(self._clock.now())
        idempotency = _idempotency(batch, now)
        if idempotency is not None:
            replay = await self._store.replay_of(project.id, idempotency)
            if replay is not None:
                return _replayed(replay), Outcome.REPEATED, 0
        raw = read_events(decompress(batch.body, batch.content_encoding), batch.content_type)
        prepared = prepare(raw, source_default=project.slug, now=now)
        if prepared.problems and not batch.partial:
            raise _refusal(raw, prepared)
        usage = self._limits.admit_events(project, len(prepared.events))
        receipt = Receipt(
            received=len(raw),
            processed=len(prepared.events),
            request_id=batch.request_id,
            problems=prepared.problems,
        )
        body = receipt.to_json()
        if prepared.events or idempotency is not None:
            replay = await self._store.add(
                project.id, prepared.events, created_at=now, answer=body, idempotency=idempotency
            )
            if replay is not None:
                return _replayed(replay), Outcome.REPEATED, 0
            self._indexer.notify()
        return Answer(body, self._limits.headers(usage)), Outcome.STORED, len(prepared.events)


def _idempotency(batch: Batch, now: int) -> Idempotency | None:
    if batch.idempotency_key is None:
        return None
    if _idempotency_key(batch.idempotency_key) is None:
        raise BadBatchError("An Idempotency-Key has 1 to 128 visible ASCII characters.")
    return Idempotency.of(batch.idempotency_key, batch.body, now - IDEMPOTENCY_SECONDS * _MICROSECONDS)


def _replayed(replay: Replay) -> Answer:
    if not replay.same_body:
        raise IdempotencyError
    return Answer(replay.answer, {"Idempotency-Replayed": "true"})


def _refusal(raw: Sequence[Any], prepared: Prepared) -> BadBatchError:
    bad = len({problem.index for problem in prepared.problems})
    return BadBatchError(
        f"{bad} of {len(raw)} events cannot be stored, so none was; ?partial=true stores the others.",
        details={"errors": [problem.to_json() for problem in prepared.problems]},
    )
