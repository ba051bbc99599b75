"""Looking at runs: those that go on, and the folders of those that have ended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any

from runstead.capabilities.endpoints.folders import Artifact, RunFolders
from runstead.capabilities.endpoints.model import RunStatus
from runstead.kernel.clock import rfc3339
from runstead.kernel.errors import NotFoundError
from runstead.kernel.ids import is_uuid

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Archive:
    """Reads what runs have left."""

    def __init__(self, folders: RunFolders, stage_of: Callable[[str], RunStatus | None]) -> None:
        """:param stage_of: of a run that has not ended; None of all others."""
        self._folders = folders
        self._stage_of = stage_of

    async def runs(
        self, name: str, *, limit: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of runs, the newest first, and the cursor of the next page."""
        self._check_name(name)
        if cursor is not None and not is_uuid(cursor):
            raise NotFoundError("There is no such page.")
        return await asyncio.to_thread(self._page, name, limit, cursor)

    def _page(self, name: str, limit: int, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        page: list[dict[str, Any]] = []
        for run_id in self._folders.run_ids(name, before=cursor):
            if len(page) == limit:
                return page, page[-1]["run_id"]
            page.append(self._result(name, run_id))
        return page, None

    def _result(self, name: str, run_id: str) -> dict[str, Any]:
        result = self._folders.result(name, run_id)
        if result is not None:
            return result
        is_running = self._stage_of(run_id) is RunStatus.RUNNING
        # It may have ended between the two looks; then its result is there now.
        result = None if is_running else self._folders.result(name, run_id)
        if result is not None:
            return result
        started = datetime.fromtimestamp(int(run_id.replace("-", "")[:12], 16) / 1000, UTC)
        status = RunStatus.RUNNING if is_running else RunStatus.LOST
        return {
            "run_id": run_id,
            "endpoint": name,
            "status": status.value,
            "started_at": rfc3339(started),
        }

    async def run(self, name: str, run_id: str) -> dict[str, Any]:
        """One run: its result, and what it was asked.

        :raises NotFoundError: there is none.
        """
        self._check_run(name, run_id)
        if self._stage_of(run_id) is RunStatus.QUEUED:
            return {"run_id": run_id, "endpoint": name, "status": RunStatus.QUEUED.value}

        def read() -> dict[str, Any] | None:
            request = self._folders.request(name, run_id)
            return None if request is None else {**self._result(name, run_id), "request": request}

        found = await asyncio.to_thread(read)
        if found is None and self._stage_of(run_id) is not None:
            # Its folder is being made.
            return {"run_id": run_id, "endpoint": name, "status": RunStatus.RUNNING.value}
        if found is None:
            raise NotFoundError("There is no such run.")
        return found

    async def artifacts(self, name: str, run_id: str) -> list[Artifact]:
        """What the program left.

        :raises NotFoundError: there is no such run, or it is still going on.
        """
        if (await self.run(name, run_id))["status"] in (RunStatus.QUEUED, RunStatus.RUNNING):
            raise NotFoundError("This run is still going on.")
        return await asyncio.to_thread(self._folders.artifacts, name, run_id)

    async def open_file(self, name: str, run_id: str, *parts: str) -> tuple[IO[bytes], int]:
        """Open ``stdout``, ``stderr`` or ``artifacts/…`` of a run that has ended. Whoever gets the file closes it.

        :returns: the file and its size in bytes.
        :raises NotFoundError: there is none. Before the end of a run there is none yet: secrets are masked at the end.
        """
        self._check_run(name, run_id)

        def open_finished() -> tuple[IO[bytes], int] | None:
            if self._folders.result(name, run_id) is None:
                return None
            return self._folders.open_file(name, run_id, *parts)

        opened = await asyncio.to_thread(open_finished)
        if opened is None:
            raise NotFoundError("There is no such file.")
        return opened

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise NotFoundError

    def _check_run(self, name: str, run_id: str) -> None:
        self._check_name(name)
        if not is_uuid(run_id):
            raise NotFoundError("There is no such run.")
