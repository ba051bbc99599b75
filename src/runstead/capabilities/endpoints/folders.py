"""The folders of runs: what is kept of each call. Blocking; called on threads.

    <root>/<YYYY-MM-DD>/<endpoint>/<run-id>/
        request.json   what the program got on stdin
        stdout stderr  what it wrote
        result.json    status, exit code, timings, resource usage; written last, so a folder without it belongs to a run that
                       is going on, or was cut off by the death of the server
        artifacts/     what it left there

The folders are the only store of runs: nothing can disagree with them. The date is that of the run's id (a UUIDv7), so that an id
alone leads to its folder.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from runstead.capabilities.endpoints.ports import Redactor
from runstead.capabilities.endpoints.redaction import redact_file, redact_json
from runstead.kernel.ids import is_uuid

#: Files of one run that are listed.
ARTIFACTS_MAX = 1000
#: Folders within folders that are looked into.
ARTIFACT_DEPTH_MAX = 8

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a program left. ``path`` is relative, with forward slashes."""

    path: str
    size: int
    modified: datetime


def date_of(run_id: str) -> str:
    """The day (UTC) in a UUIDv7: its first 48 bits are milliseconds since 1970."""
    milliseconds = int(run_id.replace("-", "")[:12], 16)
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
    except (ValueError, OverflowError):
        return "9999-12-31"


class RunFolders:
    """Writes and reads the folders below one root."""

    def __init__(self, root: Path, redactor: Redactor) -> None:
        self.root = root
        self._redactor = redactor

    def path_of(self, endpoint: str, run_id: str) -> Path:
        return self.root / date_of(run_id) / endpoint / run_id

    def create(self, endpoint: str, run_id: str, request: Mapping[str, Any]) -> Path:
        """Make the folder of a new run. Only the server's own user may look into it: parameters can be personal.

        :returns: the folder.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self.path_of(endpoint, run_id)
        (folder / "artifacts").mkdir(parents=True)
        self._write_json(folder / "request.json", request)
        return folder

    def artifact_bytes(self, folder: Path) -> int:
        """What a run has left so far."""
        return sum(status.st_size for _, status in _files_below(folder / "artifacts"))

    def drop_artifacts(self, folder: Path) -> None:
        """They are too much to be kept."""
        shutil.rmtree(folder / "artifacts", ignore_errors=True)
        (folder / "artifacts").mkdir(exist_ok=True)

    def finish(self, folder: Path, *, stdout: bytes, stderr: bytes, report: Mapping[str, Any]) -> None:
        """Write what a run left. ``stdout`` and ``stderr`` are masked already.

        Artifacts are masked before the result appears, so that none can be fetched in clear through it.
        """
        (folder / "stdout").write_bytes(stdout)
        (folder / "stderr").write_bytes(stderr)
        for path, _ in _files_below(folder / "artifacts"):
            redact_file(path, self._redactor)
        self._write_json(folder / "result.json", report)

    def _write_json(self, path: Path, value: Any) -> None:
        draft = path.with_name(f".{path.name}")
        draft.write_bytes(
            msgspec.json.format(msgspec.json.encode(redact_json(value, self._redactor)), indent=2)
        )
        draft.replace(path)

    def run_ids(self, endpoint: str, *, before: str | None = None) -> Iterator[str]:
        """The ids of an endpoint's runs, the newest first; only older ones than ``before``."""
        last_day = date_of(before) if before is not None else "9999-99-99"
        for day in sorted(_names(self.root), reverse=True):
            if not DATE.fullmatch(day) or day > last_day:
                continue
            for run_id in sorted(_names(self.root / day / endpoint), reverse=True):
                if is_uuid(run_id) and (before is None or run_id < before):
                    yield run_id

    def result(self, endpoint: str, run_id: str) -> dict[str, Any] | None:
        """``result.json``; None when the run has not written it."""
        return _read_json(self.path_of(endpoint, run_id) / "result.json")

    def request(self, endpoint: str, run_id: str) -> dict[str, Any] | None:
        """``request.json``; None when there is no such run."""
        return _read_json(self.path_of(endpoint, run_id) / "request.json")

    def artifacts(self, endpoint: str, run_id: str) -> list[Artifact]:
        """The regular files below ``artifacts/``, by path."""
        root = self.path_of(endpoint, run_id) / "artifacts"
        found = [
            Artifact(
                path=path.relative_to(root).as_posix(),
                size=status.st_size,
                modified=datetime.fromtimestamp(status.st_mtime, UTC),
            )
            for path, status in _files_below(root)
        ]
        return sorted(found, key=lambda artifact: artifact.path)

    def open_file(self, endpoint: str, run_id: str, *parts: str) -> tuple[IO[bytes], int] | None:
        """Open a regular file of a run, and say its size.

        No link is followed, wherever in the path it stands: programs may have made it.

        :returns: None when there is no such file.
        """
        if not parts or any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts):
            return None
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(self.path_of(endpoint, run_id), flags | os.O_DIRECTORY)
            for index, part in enumerate(parts):
                parent = descriptor
                folder = os.O_DIRECTORY if index < len(parts) - 1 else 0
                try:
                    descriptor = os.open(part, flags | folder, dir_fd=parent)
                finally:
                    os.close(parent)
        except OSError:
            return None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return None
        return os.fdopen(descriptor, "rb"), status.st_size


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None


def _files_below(root: Path) -> list[tuple[Path, os.stat_result]]:
    """Regular files, links not followed, at most :data:`ARTIFACTS_MAX` of them."""
    found: list[tuple[Path, os.stat_result]] = []
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if depth < ARTIFACT_DEPTH_MAX:
                            waiting.append((Path(entry.path), depth + 1))
                    elif entry.is_file(follow_symlinks=False):
                        found.append((Path(entry.path), entry.stat(follow_symlinks=False)))
                    if len(found) >= ARTIFACTS_MAX:
                        return found
        except OSError:
            continue
    return found
