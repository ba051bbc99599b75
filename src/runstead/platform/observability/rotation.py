"""Log files that do not fill the disk."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
from pathlib import Path
from typing import BinaryIO

_MODE = 0o640


class RotatingFile:
    """Appends lines to a file; when it would pass ``bytes_max`` it becomes ``name.1``, the older ones move up and the
    oldest goes, so that ``files_max`` files exist at most. Thread-safe. Opened by the first write.

    With ``compress`` the older ones are ``name.N.gz``, packed by a thread so that the writer does not wait.
    """

    def __init__(self, path: Path, *, bytes_max: int, files_max: int, compress: bool = False) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._files_max = max(1, files_max)
        self._compress = compress
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._size = 0
        self._packer: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Append one line.

        :raises OSError: when the disk refuses.
        """
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            file = self._file or self._open()
            if self._size and self._size + len(data) > self._bytes_max:
                file = self._rotate(file)
            file.write(data)
            self._size += len(data)

    def close(self) -> None:
        """Close the file and wait for the packing of the last one."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
            packer, self._packer = self._packer, None
        if packer is not None:
            packer.join()

    def _open(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        # Unbuffered: a line that was logged before a crash is the one that explains it.
        self._file = open(descriptor, "ab", buffering=0)  # noqa: SIM115, PTH123
        self._size = os.fstat(descriptor).st_size
        return self._file

    def _rotate(self, full: BinaryIO) -> BinaryIO:
        if self._packer is not None:
            self._packer.join()
            self._packer = None
        full.close()
        for number in range(self._files_max - 1, 0, -1):
            for suffix in ("", ".gz"):
                source = self._numbered(number - 1, suffix)
                if not source.exists():
                    continue
                for stale in ("", ".gz"):
                    self._numbered(number, stale).unlink(missing_ok=True)
                source.rename(self._numbered(number, suffix))
        if self._files_max == 1:
            self._path.unlink(missing_ok=True)
        file = self._open()
        if self._compress and self._files_max > 1:
            self._packer = threading.Thread(
                target=self._pack, args=(self._numbered(1, ""),), name="log-packer"
            )
            self._packer.start()
        return file

    def _numbered(self, number: int, suffix: str) -> Path:
        return self._path if number == 0 else self._path.with_name(f"{self._path.name}.{number}{suffix}")

    @staticmethod
    def _pack(path: Path) -> None:
        packed = path.with_name(path.name + ".gz")
        try:
            with path.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
                shutil.copyfileobj(source, target)
            path.unlink()
        except OSError:
            packed.unlink(missing_ok=True)
