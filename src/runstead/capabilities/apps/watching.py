"""Folders of apps, looked at again and again while somebody works in them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import structlog

from runstead.capabilities.apps.folders import FolderApp, read_folder
from runstead.kernel.background import background
from runstead.kernel.errors import RunsteadError

_log = structlog.get_logger("apps")
Upsert = Callable[[FolderApp], Awaitable[None]]
_Look = dict[Path, dict[str, tuple[int, int]]]


def watching(folders: Sequence[Path], upsert: Upsert, seconds: float) -> AbstractAsyncContextManager[None]:
    """Put an app into service again when one of its files has changed. What is wrong with it is in the log.

    :param seconds: between two looks. Looking is portable, and cheap for the few files of an author.
    """
    return background(_watch(folders, upsert, seconds), "watching")


async def _watch(folders: Sequence[Path], upsert: Upsert, seconds: float) -> None:
    before = await asyncio.to_thread(_look, folders)
    while True:
        await asyncio.sleep(seconds)
        now = await asyncio.to_thread(_look, folders)
        for folder, files in now.items():
            if before.get(folder) != files:
                await _reload(folder, upsert)
        before = now


async def _reload(folder: Path, upsert: Upsert) -> None:
    found = await asyncio.to_thread(read_folder, folder)
    if found is None:
        return
    if found.problem:
        _log.error("the app was not loaded again", app_id=found.app_id, error=found.problem)
        return
    try:
        await upsert(found)
    except RunsteadError as error:
        _log.error("the app was not loaded again", app_id=found.app_id, error=error.message)
    else:
        _log.info("the app was loaded again", app_id=found.app_id)


def _look(folders: Sequence[Path]) -> _Look:
    """Times and sizes of all files, by app."""
    seen: _Look = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            for child in folder.iterdir():
                if child.is_dir():
                    seen[child] = _files(child)
    return seen


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    files = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            files[str(path)] = (status.st_mtime_ns, status.st_size)
    return files
