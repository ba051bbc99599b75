"""One stream of output on its way from a pipe with a name to a reader that may be killed."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from runstead.kernel.limits import MIB

STREAMS: Final = ("stdout", "stderr")
#: What a pipe holds, where the kernel allows it, and what is moved at once.
PIPE_BYTES: Final = MIB
#: A spool that is longer is begun anew.
SPOOL_BYTES_MAX: Final = 16 * MIB


class Spool:
    """Moves a pipe into a file, and hands on what it moved.

    The reader keeps the position up to which it has everything for good. A position beyond the end of the file means its
    beginning: the file was begun anew with what the reader had not yet taken, before the reader could say so.
    """

    def __init__(self, folder: Path, name: str, position: int) -> None:
        """:raises OSError: the files are not there."""
        self._path = folder / f"spool-{name}"
        #: Never blocks; whoever wants to know when it has something asks the event loop.
        self.pipe = os.open(folder / name, os.O_RDWR | os.O_NONBLOCK)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        #: Where the file ends.
        self.size = os.fstat(self._file).st_size
        #: The last bytes that the reader has, but not for good.
        self.held_back = 0
        self._unread = self.size - (position if position <= self.size else 0)

    def take(self) -> bytes:
        """What is there now, at most :data:`PIPE_BYTES`; nothing: the pipe is empty."""
        if self._unread:
            count = min(self._unread, PIPE_BYTES)
            data = os.pread(self._file, count, self.size - self._unread)
            self._unread -= len(data)
            return data
        if self.size > SPOOL_BYTES_MAX:
            self._begin_anew()
        moved = self._move()
        return os.pread(self._file, moved, self.size - moved) if moved else b""

    @property
    def position(self) -> int:
        """Where the last piece that was taken ends."""
        return self.size - self._unread

    def _move(self) -> int:
        try:
            moved = os.splice(
                self.pipe, self._file, PIPE_BYTES, offset_dst=self.size, flags=os.SPLICE_F_NONBLOCK
            )
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # A file system that the kernel cannot move into.
            with contextlib.suppress(BlockingIOError):
                data = os.read(self.pipe, PIPE_BYTES)
                moved = os.pwrite(self._file, data, self.size)
                self.size += moved
                return moved
            return 0
        self.size += moved
        return moved

    def _begin_anew(self) -> None:
        rest = os.pread(self._file, self.held_back, self.size - self.held_back)
        draft = self._path.with_suffix(".new")
        file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(file, rest)
        draft.rename(self._path)
        os.close(self._file)
        self._file, self.size = file, len(rest)

    def close(self) -> None:
        os.close(self.pipe)
        os.close(self._file)


def left_in_spool(folder: Path, name: str, position: int) -> tuple[bytes, int]:
    """What a reader that is no more had not taken, and where it ends; when nothing writes any more."""
    try:
        with (folder / f"spool-{name}").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(position if position <= size else 0)
            return file.read(), size
    except FileNotFoundError:
        return b"", 0
