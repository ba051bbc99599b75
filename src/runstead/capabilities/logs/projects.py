"""Projects: who may send, how much, and how long it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from runstead.capabilities.logs.errors import SlugTakenError, UnknownProjectError
from runstead.capabilities.logs.model import OWN_PROJECT, Credentials, Project, microseconds, moment_of
from runstead.capabilities.logs.ports import Sealer
from runstead.capabilities.logs.project_store import ProjectRow, ProjectStore
from runstead.capabilities.logs.settings import LogsSettings
from runstead.capabilities.logs.signature import hash_key, new_hmac_secret, new_project_key
from runstead.kernel.clock import Clock
from runstead.kernel.errors import ConflictError
from runstead.kernel.secret import Secret

#: All are held in memory.
PROJECTS_MAX: Final = 10_000

#: Seconds that what is held may differ from what another process has changed.
FRESH_SECONDS: Final = 5.0
#: And when a key or a slug is not known: a new project works at once, and guessing does not read the table each time.
FRESH_SECONDS_UNKNOWN: Final = 0.5

_log = structlog.get_logger("logs")


@dataclass(frozen=True, slots=True)
class Sender:
    """A project and what it signs with. None: the secret cannot be opened with this server's master key."""

    project: Project
    secret: Secret | None


class Projects:
    """Projects, held in memory and read again every few seconds."""

    def __init__(self, *, store: ProjectStore, sealer: Sealer, settings: LogsSettings, clock: Clock) -> None:
        self._store = store
        self._sealer = sealer
        self._settings = settings
        self._clock = clock
        self._by_slug: dict[str, Sender] = {}
        self._by_hash: dict[str, Sender] = {}
        self._deleted: list[int] = []
        self._opened: dict[bytes, Secret | None] = {}
        self._read_at = -FRESH_SECONDS
        self._reading = asyncio.Lock()

    async def open(self) -> None:
        """Read them, and make the server's own."""
        await self._reload()
        if OWN_PROJECT not in self._by_slug:
            try:
                await self.create(slug=OWN_PROJECT, name="Runstead", settings={})
            except SlugTakenError:
                # Another process of this installation was faster.
                await self._reload()

    @property
    def unreadable(self) -> int:
        """Projects whose secret cannot be opened."""
        return sum(sender.secret is None for sender in self._by_slug.values())

    async def by_key(self, project_key: str) -> Sender | None:
        """The project of a key."""
        key_hash = hash_key(project_key)
        await self._refresh(FRESH_SECONDS)
        if key_hash not in self._by_hash:
            await self._refresh(FRESH_SECONDS_UNKNOWN)
        return self._by_hash.get(key_hash)

    async def get(self, slug: str) -> Project:
        """A project.

        :raises UnknownProjectError: there is none.
        """
        await self._refresh(FRESH_SECONDS)
        if slug not in self._by_slug:
            await self._refresh(FRESH_SECONDS_UNKNOWN)
        try:
            return self._by_slug[slug].project
        except KeyError:
            raise UnknownProjectError from None

    async def all(self) -> list[Project]:
        """Every project, by slug."""
        await self._reload()
        return [sender.project for sender in self._by_slug.values()]

    async def deleted(self) -> list[int]:
        """The numbers of projects whose events are still being deleted."""
        await self._reload()
        return list(self._deleted)

    async def own(self) -> Project:
        """The server's own."""
        return await self.get(OWN_PROJECT)

    async def create(self, *, slug: str, name: str, settings: Mapping[str, Any]) -> Credentials:
        """Add a project; its credentials are given out here and never again.

        :raises SlugTakenError: the slug is another's.
        """
        if len(self._by_slug) >= PROJECTS_MAX:
            raise ConflictError(
                f"There are {PROJECTS_MAX} projects already, which is as many as there may be."
            )
        credentials = Credentials(project_key=new_project_key(), hmac_secret=new_hmac_secret())
        await self._store.add(
            slug=slug,
            name=name,
            key_hash=hash_key(credentials.project_key.reveal()),
            secret_sealed=self._seal(credentials),
            settings=settings,
            now=self._now(),
        )
        await self._reload()
        return credentials

    async def change(self, slug: str, values: Mapping[str, Any]) -> Project:
        """Change name, minute_cap or retention_days.

        :raises UnknownProjectError: there is none.
        """
        project = await self.get(slug)
        if values and not await self._store.change(project.id, values, now=self._now()):
            raise UnknownProjectError
        await self._reload()
        return await self.get(slug)

    async def rotate(self, slug: str) -> Credentials:
        """Give a project a new key and a new secret; the old ones end at once.

        :raises UnknownProjectError: there is none.
        """
        project = await self.get(slug)
        credentials = Credentials(project_key=new_project_key(), hmac_secret=new_hmac_secret())
        done = await self._store.rekey(
            project.id,
            key_hash=hash_key(credentials.project_key.reveal()),
            secret_sealed=self._seal(credentials),
            now=self._now(),
        )
        if not done:
            raise UnknownProjectError
        await self._reload()
        return credentials

    async def delete(self, slug: str) -> None:
        """End a project: nobody can send or read any more, and its events are deleted in the background.

        :raises UnknownProjectError: there is none.
        :raises ConflictError: it is the server's own.
        """
        if slug == OWN_PROJECT:
            raise ConflictError("The server keeps its own logs there.")
        project = await self.get(slug)
        if not await self._store.delete(project.id, now=self._now()):
            raise UnknownProjectError
        await self._reload()

    async def forget(self, project_id: int) -> None:
        """Remove what is left of a deleted project that has no events any more."""
        await self._store.forget(project_id)

    def _seal(self, credentials: Credentials) -> bytes:
        return self._sealer.seal(credentials.hmac_secret.reveal().encode())

    def _now(self) -> int:
        return microseconds(self._clock.now())

    async def _refresh(self, seconds: float) -> None:
        if self._clock.monotonic() - self._read_at < seconds:
            return
        async with self._reading:
            # Whoever waited here has what the one before it has read.
            if self._clock.monotonic() - self._read_at >= seconds:
                await self._read()

    async def _reload(self) -> None:
        # One after the other, so that what is held never goes back to before a change that was seen.
        async with self._reading:
            await self._read()

    async def _read(self) -> None:
        at = self._clock.monotonic()
        rows = await self._store.all()
        opened = {row.secret_sealed: self._open(row) for row in rows if row.deleted_at is None}
        senders = [
            Sender(self._project(row), opened[row.secret_sealed]) for row in rows if row.deleted_at is None
        ]
        self._opened = opened
        self._by_slug = {sender.project.slug: sender for sender in senders}
        self._by_hash = {sender.project.key_hash: sender for sender in senders}
        self._deleted = [row.id for row in rows if row.deleted_at is not None]
        self._read_at = at

    def _open(self, row: ProjectRow) -> Secret | None:
        if row.secret_sealed in self._opened:
            return self._opened[row.secret_sealed]
        try:
            return Secret(self._sealer.open(row.secret_sealed).decode())
        except Exception as error:  # noqa: BLE001 - one project's loss must not end the others
            _log.error(
                "the secret of a project cannot be opened: was the master key changed? Rotate its keys.",
                project=row.slug,
                cause=type(error).__name__,
            )
            return None

    def _project(self, row: ProjectRow) -> Project:
        return Project(
            id=row.id,
            slug=row.slug,
            name=row.name,
            key_hash=row.key_hash,
            minute_cap=row.minute_cap or self._settings.minute_cap,
            retention_days=row.retention_days or self._settings.retention_days,
            created_at=moment_of(row.created_at),
            updated_at=moment_of(row.updated_at),
        )
