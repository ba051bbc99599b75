"""The use cases: make a template, run it."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstead.capabilities.jobs.model import Job
from runstead.capabilities.jobs.newjob import NewJob, refuse_variables
from runstead.capabilities.jobs.service import JobsService
from runstead.capabilities.jobs.templates.filling import check, fill
from runstead.capabilities.jobs.templates.model import Definition, Template
from runstead.capabilities.jobs.templates.store import TemplateStore
from runstead.kernel.clock import Clock
from runstead.kernel.ids import new_id


class Templates:
    """Commands with places.

    Guarantee: whoever may run a template runs its program with values that fit, and nothing else. The values of secrets are
    written down nowhere: a job that has not begun when the server goes cannot be run without asking for them again.
    """

    def __init__(self, store: TemplateStore, jobs: JobsService, *, clock: Clock) -> None:
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self.get = store.get
        self.all = store.all
        self.delete = store.delete

    async def create(self, name: str, definition: Definition, *, owner: str) -> Template:
        """Take a template.

        :raises TemplateError: it makes no sense.
        :raises CommandRefusedError: a shell would be needed, or the command is not one that may be run.
        :raises TemplateExistsError: there is one of that name.
        """
        self._check(definition)
        now = self._clock.now()
        made = Template(
            name=name, definition=definition, owner=owner, secrets_of=owner, created_at=now, updated_at=now
        )
        await self._store.insert(made)
        return await self._store.get(name)

    async def replace(self, name: str, definition: Definition, *, by: str) -> Template:
        """Another definition; its owner stays, its secrets are those of who wrote it."""
        self._check(definition)
        await self._store.replace(name, definition, by=by, at=self._clock.now())
        return await self._store.get(name)

    async def run(self, name: str, params: Mapping[str, Any], *, owner: str) -> Job:
        """Start a job with these values.

        :raises TemplateError: they do not fit.
        """
        template = await self._store.get(name)
        definition, job_id = template.definition, new_id()
        folder = self._jobs.files_of(job_id)
        filled = fill(definition, params, folder=folder)
        wanted = NewJob(
            id=job_id,
            command=shlex.join(filled.argv),
            argv=filled.argv,
            name=name,
            timeout_seconds=definition.timeout,
            env={**definition.env, **filled.env},
            given=filled.secrets,
            working_dir=definition.working_dir,
            labels={**definition.labels, "template": name},
            retries=definition.retries,
            retry_seconds=definition.retry_seconds,
            priority=definition.priority,
            owner=owner,
            secrets_of=template.secrets_of,
            template=name,
        )
        await asyncio.to_thread(_write, filled.files)
        try:
            return await self._jobs.start(wanted)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise

    def _check(self, definition: Definition) -> None:
        check(definition)
        refuse_variables([*definition.env, *(one.env for one in definition.parameters if one.env)])


def _write(files: Mapping[Path, bytes]) -> None:
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
