"""Objects as files below a folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from runstead.kernel.ids import new_id
from runstead.platform.storage.objects.base import (
    CONTENT_TYPE,
    LIST_OBJECTS_MAX,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    ObjectsUnavailableError,
)
from runstead.platform.storage.objects.keys import check_key, check_prefix

T = TypeVar("T")

#: Where files are written before they get their name. No key begins with a dot, so none leads here.
TEMPORARY: Final = ".tmp"

#: Seconds after which a temporary file is somebody's crash, not somebody's work.
TEMPORARY_SECONDS_MAX: Final = 3600.0

#: Calls that run or wait for a thread.
CALLS_MAX: Final = 1024

#: Folders that are remembered as durable; forgetting costs an fsync, nothing else.
DURABLE_FOLDERS_MAX: Final = 4096


class FolderObjects:
    """Objects as files: the key is the path below the root.

    Guarantee: when :meth:`create` returns, the object is whole and survives a power cut; two creations of one key never
    both succeed, also from two processes; a reader sees all of an object or nothing. The way: a temporary file, fsync,
    ``link`` to the name (which never overwrites), fsync of the folder and of those made for it, unlink.
    Failure: a crash leaves at most a temporary file, which is never listed and swept later. A full disk or a lost mount
    raises ``ObjectsUnavailableError``.
    Why not obstore's local store: it links as well but never calls fsync, so an acknowledged object could be lost; and
    reading a file needs no library. Why not rename: it overwrites silently.
    """

    def __init__(self, root: Path, *, fsync: Callable[[int], None] = os.fsync) -> None:
        """Prepare; the folder is made with the first object.

        :param fsync: for tests that watch or break it.
        """
        self._root = root.absolute()
        self._fsync = fsync
        self._durable: set[Path] = set()
        self._lock = threading.Lock()
        self._calls = 0
        self._swept = False

    async def create(self, key: str, data: bytes, *, content_type: str = CONTENT_TYPE) -> None:
        path = self._path(key)
        await self._call(lambda: self._create(path, data))

    async def replace(self, key: str, data: bytes) -> None:
        path = self._path(key)
        await self._call(lambda: self._replace(path, data))

    async def get(self, key: str) -> bytes:
        path = self._path(key)
        return await self._call(lambda: _read(path))

    async def head(self, key: str) -> ObjectInfo | None:
        path = self._path(key)
        return await self._call(lambda: _head(path, key))

    async def list(
        self, prefix: str, *, after: str | None = None, limit: int = LIST_OBJECTS_MAX
    ) -> list[ObjectInfo]:
        check_prefix(prefix)
        wanted = max(1, min(limit, LIST_OBJECTS_MAX))
        return await self._call(lambda: _list(self._root, prefix, after or "", wanted))

    async def delete(self, key: str) -> None:
        path = self._path(key)
        await self._call(lambda: self._delete(path))

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    async def _call(self, work: Callable[[], T]) -> T:
        if self._calls >= CALLS_MAX:
            raise ObjectsUnavailableError(
                "too many calls wait for the object store", headers={"Retry-After": "1"}
            )
        self._calls += 1
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise ObjectsUnavailableError from error
        finally:
            self._calls -= 1

    def _create(self, path: Path, data: bytes) -> None:
        self._make_folder(path.parent)
        temporary = self._write_temporary(data)
        try:
            self._link(path, temporary)
        except FileExistsError:
            # Whoever asks next may build upon that object, while its own creator may not have come to this line yet.
            self._sync_folder(path.parent)
            raise ObjectExistsError from None
        finally:
            temporary.unlink()
        self._sync_folder(path.parent)

    def _link(self, path: Path, temporary: Path) -> None:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            if not path.is_dir() or not self._remove_empty(path):
                raise
            path.hardlink_to(temporary)

    def _remove_empty(self, folder: Path) -> bool:
        """Remove what deleted objects have left: folders without any. False when there is an object in them."""
        with self._lock:
            self._durable = {one for one in self._durable if not one.is_relative_to(folder)}
        try:
            for inner, _folders, _files in os.walk(folder, topdown=False):
                Path(inner).rmdir()
        except OSError:
            return False
        return True

    def _replace(self, path: Path, data: bytes) -> None:
        self._make_folder(path.parent)
        temporary = self._write_temporary(data)
        try:
            if path.is_dir():
                self._remove_empty(path)
            temporary.replace(path)
        except IsADirectoryError:
            raise ObjectExistsError("this key is the folder of another object") from None
        finally:
            temporary.unlink(missing_ok=True)
        self._sync_folder(path.parent)

    def _delete(self, path: Path) -> None:
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        self._sync_folder(path.parent)

    def _write_temporary(self, data: bytes) -> Path:
        folder = self._root / TEMPORARY
        folder.mkdir(exist_ok=True, mode=0o700)
        self._sweep(folder)
        temporary = folder / new_id()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            self._fsync(descriptor)
        except BaseException:
            temporary.unlink()
            raise
        finally:
            os.close(descriptor)
        return temporary

    def _make_folder(self, folder: Path) -> None:
        """Make the folder and see to it that it and all above it last.

        A folder that is there may have been made a moment ago by somebody who has not come to the fsync, so only what
        this process has synced itself is taken for durable.
        """
        if folder in self._durable:
            return
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ObjectExistsError("a part of this key is an object already") from None
        chain = [folder, *(one for one in folder.parents if one.is_relative_to(self._root))]
        new = [one for one in chain if one not in self._durable]
        for one in new:
            self._sync_folder(one.parent)
        with self._lock:
            if len(self._durable) + len(new) > DURABLE_FOLDERS_MAX:
                self._durable.clear()
            self._durable.update(new)

    def _sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._fsync(descriptor)
        finally:
            os.close(descriptor)

    def _sweep(self, folder: Path) -> None:
        """Remove what crashes have left, once in the life of this object."""
        if self._swept:
            return
        self._swept = True
        oldest = time.time() - TEMPORARY_SECONDS_MAX
        for one in folder.iterdir():
            # Those that write meanwhile remove theirs.
            with contextlib.suppress(FileNotFoundError):
                if one.lstat().st_mtime < oldest:
                    one.unlink()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise ObjectMissingError from None


def _head(path: Path, key: str) -> ObjectInfo | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _info(key, status) if stat.S_ISREG(status.st_mode) else None


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=status.st_size,
        etag=f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}",
        modified=datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC),
    )


def _list(root: Path, prefix: str, after: str, limit: int) -> list[ObjectInfo]:
    found: list[ObjectInfo] = []
    for key, entry in _walk(f"{root}/", "", prefix, after):
        try:
            found.append(_info(key, entry.stat(follow_symlinks=False)))
        except FileNotFoundError:
            continue  # deleted since its folder was read
        if len(found) == limit:
            break
    return found


def _walk(root: str, folder: str, prefix: str, after: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files below ``folder`` ("" or ending in a slash) in the order of their keys, skipping what cannot match."""
    try:
        with os.scandir(root + folder) as entries:
            visible = [one for one in entries if not one.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return
    # A folder sorts as what its keys begin with: "a-b" comes before "a/b", and "a0" after it.
    named = [(folder + one.name + ("/" if one.is_dir(follow_symlinks=False) else ""), one) for one in visible]
    named.sort(key=lambda pair: pair[0])
    for key, entry in named:
        if key.endswith("/"):
            below = key.startswith(prefix) or prefix.startswith(key)
            if below and (key > after or after.startswith(key)):
                yield from _walk(root, key, prefix, after)
        elif key.startswith(prefix) and key > after:
            yield key, entry
