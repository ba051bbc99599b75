"""What a job's program gets: its folder, its environment, its limits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.settings import JobsSettings
from runstead.kernel.limits import MIB
from runstead.platform.execution.process import Launch, ProcessLimits, SandboxMode, SecretsAs

#: Variables that jobs get without being named in the settings.
PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """Makes the launch of a job."""

    settings: JobsSettings
    sandbox: SandboxMode
    environ: Mapping[str, str]
    hidden: tuple[Path, ...]
    secrets_as: SecretsAs
    #: Below it each attempt has a folder while it runs.
    running: Path
    #: Below it each job that was handed files has a folder with them.
    files: Path

    def keep(self, job: Job) -> Path:
        """The folder of the present attempt, by which a later server finds it."""
        return self.running / f"{job.id}.{job.attempt}"

    def kept(self) -> list[Path]:
        """The folders that there are."""
        try:
            found = [path for path in self.running.iterdir() if path.suffix[1:].isdigit()]
        except FileNotFoundError:
            return []
        return sorted(found)

    def launch(self, job: Job, env: Mapping[str, str], secrets: Mapping[str, str] | None = None) -> Launch:
        """:param env: the job's own variables but its secrets."""
        settings = self.settings
        passed_on = {name: self.environ[name] for name in (*PASSED_ON, *settings.env) if name in self.environ}
        working_dir = Path(job.working_dir)
        files = self.files / job.id
        by_file = self.secrets_as == "descriptor"
        return Launch(
            argv=job.argv,
            working_dir=working_dir,
            env={
                "PATH": os.defpath,
                **passed_on,
                **env,
                **({} if by_file else secrets or {}),
                "RUNSTEAD_JOB_ID": job.id,
            },
            limits=ProcessLimits(
                wall_seconds=job.timeout_seconds,
                cpu_seconds=settings.cpu_seconds,
                cpu_percent=settings.cpu_percent,
                memory_bytes=settings.memory_mb * MIB if settings.memory_mb else None,
                processes=settings.processes,
                open_files=settings.open_files,
                network=settings.network,
            ),
            writable=(working_dir, files) if job.template is not None and files.is_dir() else (working_dir,),
            hidden=self.hidden,
            sandbox=self.sandbox,
            mark=f"RUNSTEAD_JOB_ID={job.id}",
            keep=self.keep(job),
            descriptors=secrets or {} if by_file else {},
        )
