"""The use cases: call an endpoint, replace the declarations, look at runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from runstead.capabilities.endpoints.archive import Archive
from runstead.capabilities.endpoints.errors import BusyError
from runstead.capabilities.endpoints.folders import RunFolders
from runstead.capabilities.endpoints.gate import Gate, GateFullError
from runstead.capabilities.endpoints.model import Call, Endpoint, RunStatus
from runstead.capabilities.endpoints.outcome import Verdict
from runstead.capabilities.endpoints.ports import RunRecorder
from runstead.capabilities.endpoints.retention import sweep
from runstead.capabilities.endpoints.routes import Found, MethodMismatch, RouteTable
from runstead.capabilities.endpoints.runner import Run, Runner
from runstead.capabilities.endpoints.settings import EndpointSettings, RunsSettings
from runstead.capabilities.endpoints.stats import Figures
from runstead.kernel.clock import Clock
from runstead.kernel.errors import NotFoundError, RunsteadError, UnavailableError
from runstead.kernel.ids import new_id
from runstead.platform.http import SseEvent

#: Between two looks at what may be forgotten.
SWEEP_SECONDS = 600.0
#: The most that a caller is told to wait before the next try.
RETRY_SECONDS_MAX = 60.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Table:
    """One configuration, whole. It is swapped, never changed."""

    routes: RouteTable[Endpoint]
    by_name: Mapping[str, Endpoint]
    gates: Mapping[str, Gate]


class EndpointsService:
    """Calls programs for requests.

    Guarantee: each run leaves a folder, whatever the program does; a caller that goes away takes its program along; at most
    ``concurrency`` programs of one endpoint run at once. A run is a task of this service, not of the request, so that its
    folder is finished also when nobody waits for it any more.
    """

    def __init__(
        self,
        *,
        endpoints: Sequence[EndpointSettings],
        base_dir: Path,
        runs: RunsSettings,
        folders: RunFolders,
        runner: Runner,
        figures: Figures,
        recorder: RunRecorder | None,
        clock: Clock,
    ) -> None:
        self._base_dir = base_dir
        self._runs_settings = runs
        self._folders = folders
        self._runner = runner
        self._recorder = recorder
        self._clock = clock
        self._active: dict[str, Run] = {}
        self._running: dict[str, asyncio.Task[Verdict]] = {}
        #: Runs that nobody waits for, until their turn comes.
        self._queued: dict[str, asyncio.Task[Any]] = {}
        self._unswept = True
        self._closing = False
        self.figures = figures
        self.archive = Archive(folders, self._stage_of)
        self._table = _Table(RouteTable(()), {}, {})
        self.replace(endpoints)

    def replace(self, endpoints: Sequence[EndpointSettings]) -> None:
        """Serve these from now on, all at once; what runs or waits ends under the declaration that it began with.

        An endpoint whose concurrency is unchanged keeps its queue; another one starts a new one, so that for a while
        the old and the new number of programs may run side by side.
        """
        resolved = {each.name: Endpoint.of(each, self._base_dir) for each in endpoints}
        gates: dict[str, Gate] = {}
        for name, endpoint in resolved.items():
            wanted = (endpoint.settings.concurrency, endpoint.settings.queue_limit)
            gate = self._table.gates.get(name)
            kept = gate is not None and (gate.slots, gate.queue_limit) == wanted
            gates[name] = gate if gate is not None and kept else Gate(*wanted)
        enabled = (each for each in resolved.values() if each.settings.enabled)
        self._table = _Table(
            RouteTable((each.method, each.template, each) for each in enabled), resolved, gates
        )

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """While this is open, old folders are forgotten; at its end every program is stopped and its folder written."""
        sweeper = asyncio.create_task(self._sweep_forever(), name="endpoints-retention")
        try:
            yield
        finally:
            self._closing = True
            sweeper.cancel()
            for waiting in self._queued.values():
                waiting.cancel()
            for run in self._active.values():
                run.abort("The server is stopping.")
            await asyncio.gather(
                sweeper, *self._queued.values(), *self._running.values(), return_exceptions=True
            )

    def match(self, method: str, path: str) -> Found[Endpoint] | MethodMismatch | None:
        """Which enabled endpoint serves this."""
        return self._table.routes.match(method, path)

    def endpoints(self) -> Iterator[Endpoint]:
        """All that are declared, the disabled ones too."""
        return iter(self._table.by_name.values())

    def get(self, name: str) -> Endpoint:
        """One that is declared.

        :raises NotFoundError: there is none of this name.
        """
        endpoint = self._table.by_name.get(name)
        if endpoint is None:
            raise NotFoundError(f"No endpoint {name[:64]!r} is declared.")
        return endpoint

    async def call(self, endpoint: Endpoint, call: Call) -> dict[str, Any]:
        """Run the program for this call and wait for it. Cancelling the wait stops the program.

        :returns: the program's answer with ``run_id``.
        :raises BusyError: too many run and wait.
        :raises ScriptError: the program did not do what it must.
        """
        run, task = await self._admitted(new_id(), endpoint, _checked(endpoint, call))
        try:
            verdict = await asyncio.shield(task)
        except asyncio.CancelledError:
            run.abort("The caller went away.")
            raise
        if verdict.error is not None:
            raise verdict.error
        return {**(verdict.answer or {}), "run_id": run.id}

    async def start(self, endpoint: Endpoint, call: Call) -> str:
        """Run the program for this call without waiting for it; the id of the run.

        :raises BusyError: too many run and wait.
        :raises BadRequestError: the parameters do not fit.
        """
        run_id, call = new_id(), _checked(endpoint, call)
        admitting = asyncio.create_task(self._admitted(run_id, endpoint, call))
        self._queued[run_id] = admitting
        admitting.add_done_callback(lambda done: self._begun(run_id, done))
        # A queue that is full says so at once.
        await asyncio.sleep(0)
        if admitting.done():
            admitting.result()
        return run_id

    def _begun(self, run_id: str, admitting: asyncio.Task[Any]) -> None:
        del self._queued[run_id]
        if not admitting.cancelled() and (error := admitting.exception()) is not None:
            _log.info("endpoint_run_not_begun", run_id=run_id, reason=str(error))

    async def events(self, name: str, run_id: str) -> AsyncIterator[SseEvent]:
        """What a run writes to stderr while it goes on, line by line, and then what became of it.

        :raises NotFoundError: there is no such run.
        """
        await self.archive.run(name, run_id)
        while (queued := self._queued.get(run_id)) is not None:
            await asyncio.wait({queued})
        run, task = self._active.get(run_id), self._running.get(run_id)
        if run is not None and task is not None:
            async for line in run.told.follow(task):
                yield SseEvent(event="line", data=_encode(line))
        yield SseEvent(event="end", data=_encode(await self.archive.run(name, run_id)))

    async def _admitted(
        self, run_id: str, endpoint: Endpoint, call: Call
    ) -> tuple[Run, asyncio.Task[Verdict]]:
        """Wait for its turn and begin."""
        if self._closing:
            raise UnavailableError("The server is stopping.", headers={"Retry-After": "1"})
        queued = self._clock.monotonic()
        gate = self._table.gates.get(endpoint.name) or Gate(endpoint.settings.concurrency, 0)
        try:
            await gate.enter()
        except GateFullError:
            raise self._busy(endpoint, gate) from None
        run = Run(
            id=run_id,
            endpoint=endpoint,
            call=call,
            queued_ms=(self._clock.monotonic() - queued) * 1000,
            started_at=self._clock.now(),
            started=self._clock.monotonic(),
        )
        # Known as active before its folder exists, and until after its result does: a folder without either is a lost run.
        self._active[run.id] = run
        task = asyncio.create_task(self._run(run, gate), name=f"endpoint-run-{run.id}")
        self._running[run.id] = task
        task.add_done_callback(lambda _: self._running.pop(run.id, None))
        return run, task

    def _busy(self, endpoint: Endpoint, gate: Gate) -> BusyError:
        typical = self.figures.of(endpoint.name).typical_seconds()
        wait = min(RETRY_SECONDS_MAX, typical * (gate.waiting + 1) / gate.slots)
        details = {
            "limit": "endpoints.queue_limit",
            "allowed": gate.queue_limit,
            "waiting": gate.waiting,
            "running": gate.running,
        }
        return BusyError(wait, details=details)

    async def _run(self, run: Run, gate: Gate) -> Verdict:
        try:
            verdict = await self._runner.run(run)
            if run.report is not None:
                self.figures.ran(run.report)
                if self._recorder is not None and verdict.status is not RunStatus.CANCELLED:
                    verdict = await self._record(run, verdict)
            return verdict
        finally:
            self._unswept = True
            del self._active[run.id]
            gate.leave()

    async def _record(self, run: Run, verdict: Verdict) -> Verdict:
        """Hand the result on before it is answered: an answer whose record is lost would be a lie."""
        assert self._recorder is not None and run.report is not None  # noqa: S101, PT018 - the caller asked
        try:
            await self._recorder.finished(run.report, verdict.answer)
        except Exception as error:  # noqa: BLE001 - the caller gets an error instead of the answer
            _log.error("endpoint_run_not_recorded", run_id=run.id, exc_info=error)
            public = error if isinstance(error, RunsteadError) else RunsteadError()
            return Verdict(RunStatus.FAILED, error=public)
        return verdict

    def overview(self) -> list[dict[str, Any]]:
        """Each declared endpoint with its counters."""
        table = self._table
        return [
            {
                "name": name,
                "method": endpoint.method,
                "path": endpoint.template.text,
                "enabled": endpoint.settings.enabled,
                "script_path": endpoint.settings.script_path,
                "timeout_ms": endpoint.settings.timeout_ms,
                "network": endpoint.settings.network,
                "concurrency": endpoint.settings.concurrency,
                "queue_limit": endpoint.settings.queue_limit,
                "running": table.gates[name].running,
                "waiting": table.gates[name].waiting,
                **self.figures.of(name).as_json(),
            }
            for name, endpoint in table.by_name.items()
        ]

    def _stage_of(self, run_id: str) -> RunStatus | None:
        """Of a run that has not ended; None of all others."""
        if run_id in self._active:
            return RunStatus.RUNNING
        return RunStatus.QUEUED if run_id in self._queued else None

    async def health(self) -> dict[str, Any]:
        """Facts for the health page.

        :raises OSError: the folder of runs cannot be written, so that no call can succeed.
        """
        root = self._folders.root

        def usage() -> int:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(root, os.W_OK | os.X_OK):
                raise PermissionError(f"{root} cannot be written")
            return shutil.disk_usage(root).free

        free = await asyncio.to_thread(usage)
        return {"declared": len(self._table.by_name), "running": len(self._active), "free_bytes": free}

    async def _sweep_forever(self) -> None:
        swept_on = None
        while True:
            today = self._clock.now().date()
            # Only a run or a new day can make a difference to the last look.
            if self._unswept or today != swept_on:
                self._unswept, swept_on = False, today
                await self.sweep()
            await self._clock.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Forget what the settings say."""
        try:
            swept = await asyncio.to_thread(
                sweep,
                self._folders.root,
                today=self._clock.now().date(),
                max_age_days=self._runs_settings.max_age_days,
                max_total_bytes=self._runs_settings.max_total_bytes,
                is_active=self._active.__contains__,
            )
        except OSError as error:
            _log.warning("endpoint_runs_not_swept", exc_info=error)
            return
        if swept.removed:
            _log.info(
                "endpoint_runs_removed",
                runs=swept.removed,
                bytes=swept.removed_bytes,
                kept_bytes=swept.kept_bytes,
            )


def _checked(endpoint: Endpoint, call: Call) -> Call:
    """The call as the program gets it.

    :raises BadRequestError: the parameters do not fit what the endpoint declares.
    """
    if endpoint.parameters is None:
        return call
    return replace(call, params=endpoint.parameters.read(call.params))


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()
