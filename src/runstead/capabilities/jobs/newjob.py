"""What somebody asks for, and what can be said of it before it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from runstead.capabilities.jobs.command import check_allowed, split_command
from runstead.capabilities.jobs.errors import CommandRefusedError, NoSuchProgramError
from runstead.capabilities.jobs.launching import Launcher
from runstead.capabilities.jobs.model import GIVEN, RETRY_SECONDS, TIMEOUT_SECONDS_DEFAULT, Job, Status
from runstead.kernel.clock import Clock
from runstead.kernel.ids import new_id
from runstead.platform.execution.process import StartError, Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What somebody asks for."""

    command: str
    name: str = ""
    timeout_seconds: float | None = None
    env: Mapping[str, str] | None = None
    working_dir: str | None = None
    labels: Mapping[str, str] | None = None
    retries: int = 0
    retry_seconds: float = RETRY_SECONDS
    priority: int = 0
    #: Who asks.
    owner: str = ""
    #: The template that it was made from, and the job that it repeats.
    template: str | None = None
    rerun_of: str | None = None
    #: Where it is known before; otherwise it gets one.
    id: str = ""
    #: Variables whose values are written down nowhere.
    given: Mapping[str, str] = field(default_factory=dict)
    #: Whose secrets its environment names, empty for nobody's own; default: those of its owner.
    secrets_of: str | None = None
    #: Already split, where the command is only for people to read.
    argv: tuple[str, ...] = ()


def again_as(job: Job, different: Mapping[str, Any]) -> NewJob:
    """A job like this one, with what is to be different: fields of :class:`NewJob`, and ``timeout``; UNSET is as it was.

    Its secrets are those of whoever asks, never those of the one who asked first: the command may be another.
    """
    changes = {name: value for name, value in different.items() if value is not msgspec.UNSET}
    command = changes.get("command", job.command)
    return NewJob(
        command=command,
        # A command that was made of parts is not split again.
        argv=job.argv if command == job.command else (),
        name=job.name,
        timeout_seconds=changes.get("timeout", job.timeout_seconds),
        env={**job.env, **changes.get("env", {})},
        working_dir=job.working_dir,
        labels=changes.get("labels", job.labels),
        retries=changes.get("retries", job.retries),
        retry_seconds=job.retry_seconds,
        priority=changes.get("priority", job.priority),
        template=job.template,
        rerun_of=job.id,
    )


class Preparer:
    """Makes jobs of what is asked for."""

    def __init__(self, *, launcher: Launcher, supervisor: Supervisor, base_dir: Path, clock: Clock) -> None:
        self._launcher = launcher
        self._settings = launcher.settings
        self._supervisor = supervisor
        self._base_dir = launcher.settings.working_dir or base_dir
        self._clock = clock

    async def prepare(self, wanted: NewJob) -> Job:
        """A job that could be run now; nothing is stored or started.

        :raises CommandRefusedError: the command is not one that may be run, or a variable or the timeout is not allowed.
        :raises NoSuchProgramError: there is no such program, or no such folder.
        """
        settings = self._settings
        argv = wanted.argv or split_command(wanted.command, settings)
        if wanted.argv:
            check_allowed(argv[0], settings)
        refuse_variables(wanted.env or {})
        refuse_given(wanted.env or {})
        folder = (self._base_dir / wanted.working_dir) if wanted.working_dir else self._base_dir
        if not await asyncio.to_thread(is_folder, folder, self._launcher.hidden):
            raise NoSuchProgramError(
                f"{str(folder)[:200]!r} is not a folder for jobs", details={"field": "working_dir"}
            )
        timeout = wanted.timeout_seconds or float(min(TIMEOUT_SECONDS_DEFAULT, settings.timeout_max_seconds))
        if timeout > settings.timeout_max_seconds:
            raise CommandRefusedError(
                f"the timeout is {timeout:g} s; allowed: {settings.timeout_max_seconds} s (jobs.timeout_max_seconds)",
                details={"field": "timeout"},
            )
        job = Job(
            id=wanted.id or new_id(),
            command=wanted.command,
            argv=argv,
            name=wanted.name or name_of(argv, shell=settings.allow_shell and not wanted.argv),
            status=Status.QUEUED,
            created_at=self._clock.now(),
            timeout_seconds=timeout,
            working_dir=str(folder),
            env={**(wanted.env or {}), **dict.fromkeys(wanted.given, GIVEN)},
            labels=dict(wanted.labels or {}),
            retries=wanted.retries,
            retry_seconds=wanted.retry_seconds,
            priority=wanted.priority,
            owner=wanted.owner,
            secrets_of=wanted.owner if wanted.secrets_of is None else wanted.secrets_of,
            template=wanted.template,
            rerun_of=wanted.rerun_of,
        )
        try:
            self._supervisor.check(self._launcher.launch(job, job.env))
        except StartError as error:
            raise NoSuchProgramError(error.message, details={"field": "command"}) from error
        return job


def refuse_variables(names: Iterable[str]) -> None:
    """What the server itself reads, and what would take over a program's loader, is not a job's to set.

    :raises CommandRefusedError: names the variable.
    """
    for name in names:
        if name == "MASTER_PASSWORD" or name.startswith(("RUNSTEAD_", "LD_")):
            raise CommandRefusedError(
                f"the variable {name} is not a job's to set", details={"field": f"env.{name}"}
            )


def refuse_given(env: Mapping[str, str]) -> None:
    """:raises CommandRefusedError: a job that was given secrets by hand cannot be repeated without them."""
    for name, value in env.items():
        if value == GIVEN:
            raise CommandRefusedError(
                f"the value of {name} was given for one job and is written down nowhere; run the template again",
                details={"field": f"env.{name}"},
            )


def is_folder(path: Path, hidden: tuple[Path, ...]) -> bool:
    """Whether jobs may run there: an existing folder, and none of those that they must not see."""
    try:
        real = path.resolve()
        return real.is_dir() and not any(real.is_relative_to(one.resolve()) for one in hidden)
    except (OSError, ValueError):
        # Too long, or with a NUL: nothing that could be there.
        return False


def name_of(argv: tuple[str, ...], *, shell: bool) -> str:
    """What people would call it: the script rather than its interpreter."""
    words = argv[2].split() if shell else argv
    script = next(
        (word for word in words[1:] if Path(word).suffix in (".py", ".sh", ".js", ".rb", ".pl")), words[0]
    )
    return Path(script).name[:128] or "job"
