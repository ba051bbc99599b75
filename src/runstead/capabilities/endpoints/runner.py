"""One call of one program, from the folder that is made for it to the folder that is left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from runstead.capabilities.endpoints.folders import RunFolders
from runstead.capabilities.endpoints.lines import LineSplitter, level_of
from runstead.capabilities.endpoints.model import Call, Endpoint, RunReport, RunStatus
from runstead.capabilities.endpoints.outcome import Verdict, judge
from runstead.capabilities.endpoints.ports import LogSink, Redactor, Vault
from runstead.capabilities.endpoints.programs import argv_of, environment_of, readable_roots
from runstead.capabilities.endpoints.redaction import redact_json
from runstead.capabilities.endpoints.told import ToldLines
from runstead.kernel.background import background
from runstead.kernel.clock import Clock
from runstead.kernel.errors import RunsteadError, UnavailableError
from runstead.kernel.limits import KIB, MIB
from runstead.platform.execution.process import (
    Exit,
    Launch,
    ProcessLimits,
    RunningProcess,
    SandboxMode,
    SecretsAs,
    Supervisor,
)

#: Files that a program may hold open at once.
OPEN_FILES_MAX = 1024
#: Between the request to stop and the end by force, when the caller has gone away.
ABORT_GRACE_SECONDS = 1.0
#: Between two looks at what a program has left so far.
ARTIFACTS_LOOK_SECONDS = 1.0

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Run:
    """A run that is going on."""

    id: str
    endpoint: Endpoint
    call: Call
    queued_ms: float
    started_at: datetime
    started: float
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    lines: LineSplitter = field(default_factory=LineSplitter)
    process: RunningProcess | None = None
    #: Why it was called off; None while it was not.
    aborted: str | None = None
    report: RunReport | None = None
    killing: asyncio.Task[None] | None = None
    told: ToldLines = field(default_factory=ToldLines)

    @property
    def source(self) -> str:
        return f"endpoint:{self.endpoint.name}"

    @property
    def request(self) -> dict[str, Any]:
        """What the program reads on stdin."""
        return {
            "entry_ids": list(self.call.entry_ids),
            "params": dict(self.call.params),
            "request_id": self.call.request_id,
            "endpoint": self.endpoint.name,
            "run_id": self.id,
        }

    def abort(self, reason: str) -> None:
        """Call it off. It still ends in the ordinary way, with a folder."""
        if self.aborted is None:
            self.aborted = reason
        if self.process is not None and self.killing is None:
            self.killing = asyncio.ensure_future(self.process.kill(grace_seconds=ABORT_GRACE_SECONDS))


class Runner:
    """Runs programs. Each run ends with a verdict and a folder, whatever the program does."""

    def __init__(
        self,
        *,
        folders: RunFolders,
        supervisor: Supervisor,
        sandbox: SandboxMode,
        redactor: Redactor,
        logs: LogSink,
        clock: Clock,
        environ: Mapping[str, str],
        hidden: Sequence[Path] = (),
        vault: Vault | None = None,
        secrets_as: SecretsAs = "environment",
    ) -> None:
        self._folders = folders
        self._supervisor = supervisor
        self._sandbox = sandbox
        self._redactor = redactor
        self._logs = logs
        self._clock = clock
        self._environ = environ
        self._vault = vault
        self._secrets_as = secrets_as
        self._hidden = tuple(hidden)

    async def run(self, run: Run) -> Verdict:
        """Do it all. A fault of our own becomes a verdict too, and goes to the log."""
        folder: Path | None = None
        end: Exit | None = None
        try:
            folder = self._folders.path_of(run.endpoint.name, run.id)
            secrets = await self._secrets_of(run)
            end = await self._execute(run, folder, partial(self._prepare, run, secrets))
            verdict = await asyncio.to_thread(self._finish, run, folder, end)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this run only
            verdict = await self._failed_by_us(run, folder, end, error)
        self._emit_failure(run, verdict)
        return verdict

    async def _secrets_of(self, run: Run) -> dict[str, str]:
        """``NAME=secret://ID`` of a declaration. The vault has every value that it hands out masked from then on."""
        found = {}
        for name, _, reference in (one.partition("=") for one in run.endpoint.settings.env):
            if reference:
                if self._vault is None:
                    raise RunsteadError("there are no secrets here")
                used_by, secret_id = f"endpoint:{run.endpoint.name}", reference.removeprefix("secret://")
                found[name] = (await self._vault.use(secret_id, used_by=used_by, scopes=("server",))).reveal()
        return found

    def _prepare(self, run: Run, secrets: Mapping[str, str]) -> Launch:
        folder = self._folders.create(run.endpoint.name, run.id, run.request)
        endpoint, settings = run.endpoint, run.endpoint.settings
        artifacts = folder / "artifacts"
        argv = argv_of(endpoint.script, endpoint.venv)
        environment = environment_of(
            settings.env, self._environ, home=endpoint.working_dir, venv=endpoint.venv
        )
        by_file = self._secrets_as == "descriptor"
        environment.update({} if by_file else secrets)
        environment["RUNSTEAD_ARTIFACTS"] = str(artifacts)
        environment["RUNSTEAD_RUN_ID"] = run.id
        return Launch(
            argv=argv,
            working_dir=endpoint.working_dir,
            env=environment,
            limits=ProcessLimits(
                wall_seconds=settings.timeout_ms / 1000,
                cpu_seconds=settings.max_cpu_seconds,
                memory_bytes=settings.max_memory_mb * MIB,
                processes=settings.max_processes,
                open_files=OPEN_FILES_MAX,
                output_bytes=settings.max_output_bytes,
                file_bytes=settings.max_artifact_bytes,
                network=settings.network,
            ),
            stdin=_encode(run.request) + b"\n",
            writable=(artifacts,),
            readable=readable_roots(argv, endpoint.script, endpoint.working_dir, endpoint.venv),
            hidden=self._hidden,
            sandbox=self._sandbox,
            mark=f"RUNSTEAD_RUN_ID={run.id}",
            descriptors=secrets if by_file else {},
        )

    async def _execute(self, run: Run, folder: Path, launch: Callable[[], Launch]) -> Exit:
        # The supervisor stops a program that writes too much; what was under way by then is not kept either.
        room = run.endpoint.settings.max_output_bytes + 64 * KIB

        def on_stdout(chunk: bytes) -> None:
            run.stdout += chunk[: max(0, room - len(run.stdout))]

        def on_stderr(chunk: bytes) -> None:
            run.stderr += chunk[: max(0, room - len(run.stderr))]
            for line in run.lines.feed(chunk):
                self._emit_line(run, line)

        run.process = await self._supervisor.start(launch, on_stdout=on_stdout, on_stderr=on_stderr)
        if run.aborted is not None:
            run.abort(run.aborted)
        async with background(self._watch_artifacts(run, folder), f"artifacts-{run.id}"):
            end = await run.process.wait()
        if run.killing is not None:
            await run.killing
        for line in run.lines.close():
            self._emit_line(run, line)
        return end

    async def _watch_artifacts(self, run: Run, folder: Path) -> None:
        """The kernel limits each file; nobody but us all of them together."""
        while run.process is not None:
            await self._clock.sleep(ARTIFACTS_LOOK_SECONDS)
            if await asyncio.to_thread(self._too_much, run, folder):
                await run.process.kill(grace_seconds=ABORT_GRACE_SECONDS)
                return

    def _too_much(self, run: Run, folder: Path) -> bool:
        return self._folders.artifact_bytes(folder) > run.endpoint.settings.max_artifact_bytes

    def _finish(self, run: Run, folder: Path, end: Exit) -> Verdict:
        if self._too_much(run, folder):
            self._folders.drop_artifacts(folder)
            end = replace(end, limit="file_size")
        stdout, stderr = bytes(run.stdout), self._redactor.redact(bytes(run.stderr))
        verdict = (
            judge(end, stdout, stderr, run.endpoint.settings)
            if run.aborted is None
            else _called_off(run.aborted)
        )
        if verdict.error is not None:
            verdict.error.details = redact_json(verdict.error.details, self._redactor)
        run.report = self._report(run, verdict, end)
        self._folders.finish(
            folder, stdout=self._redactor.redact(stdout), stderr=stderr, report=run.report.as_json()
        )
        return verdict

    async def _failed_by_us(
        self, run: Run, folder: Path | None, end: Exit | None, error: Exception
    ) -> Verdict:
        # Whatever it is, it names files and settings of this machine: the caller gets the request id, the log the rest.
        _log.error("endpoint_run_failed", endpoint=run.endpoint.name, run_id=run.id, exc_info=error)
        verdict = Verdict(RunStatus.FAILED, error=RunsteadError())
        run.report = self._report(run, verdict, end)
        if folder is not None:
            output = {"stdout": bytes(run.stdout), "stderr": bytes(run.stderr)}
            masked = {name: self._redactor.redact(data) for name, data in output.items()}
            try:
                await asyncio.to_thread(self._folders.finish, folder, **masked, report=run.report.as_json())
            except OSError as disk:
                _log.error("endpoint_run_folder_failed", folder=str(folder), exc_info=disk)
        return verdict

    def _report(self, run: Run, verdict: Verdict, end: Exit | None) -> RunReport:
        return RunReport(
            run_id=run.id,
            endpoint=run.endpoint.name,
            request_id=run.call.request_id,
            status=verdict.status,
            code=verdict.code if verdict.status is not RunStatus.CANCELLED else None,
            message=verdict.error.message if verdict.error is not None else None,
            exit_code=end.code if end is not None else None,
            signal=end.signal if end is not None else None,
            limit=end.limit if end is not None else None,
            started_at=run.started_at,
            ended_at=self._clock.now(),
            duration_ms=(self._clock.monotonic() - run.started) * 1000,
            queued_ms=run.queued_ms,
            cpu_seconds=end.cpu_seconds if end is not None else None,
            max_rss_bytes=end.max_rss_bytes if end is not None else None,
            read_bytes=end.read_bytes if end is not None else None,
            written_bytes=end.written_bytes if end is not None else None,
            stdout_bytes=len(run.stdout),
            stderr_bytes=len(run.stderr),
        )

    def _emit_line(self, run: Run, line: bytes) -> None:
        text = self._redactor.redact(line).decode("utf-8", "replace")
        run.told.add(level_of(text), text, self._clock.now())
        if text.strip():
            self._emit(run, level_of(text), text, {"run_id": run.id})

    def _emit_failure(self, run: Run, verdict: Verdict) -> None:
        """One line that says error for a run that failed: its own lines were sent on while nobody knew yet."""
        if verdict.error is None or verdict.status is RunStatus.CANCELLED:
            return
        context = {"run_id": run.id, "code": verdict.code, "details": verdict.error.details}
        self._emit(run, "error", f"{verdict.code}: {verdict.error.message}", context)

    def _emit(self, run: Run, level: str, message: str, context: Mapping[str, Any]) -> None:
        self._logs.emit(
            source=run.source,
            level=level,
            message=message,
            at=self._clock.now(),
            request_id=run.call.request_id,
            context=context,
        )


def _called_off(reason: str) -> Verdict:
    return Verdict(RunStatus.CANCELLED, error=UnavailableError(reason, headers={"Retry-After": "1"}))
