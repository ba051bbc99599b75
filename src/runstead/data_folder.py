"""The data folder: one server at a time, readable by its owner alone, with the administrator's token."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from runstead.kernel.secret import Secret

TOKEN_FILE: Final = "admin-token"  # noqa: S105 - the name of the file
_LOCK_FILE: Final = "server.lock"
_TOKEN_BYTES: Final = 32


class DataFolderError(Exception):
    """The data folder is not to be had; the message says why and what to do."""


@contextmanager
def data_folder(path: Path) -> Iterator[None]:
    """Make the folder and hold it: two servers over one would each undo what the other does.

    The kernel lets go of the lock when we end, however we end.

    :raises DataFolderError: it cannot be written, or another server holds it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (path / _LOCK_FILE).open("a+")
    except OSError as error:
        raise DataFolderError(
            f"the data folder {path} cannot be used: {error.strerror}; set storage.data_dir to another"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read(64).strip() or "?"
            raise DataFolderError(
                f"another server (pid {holder}) uses the data folder {path}; stop it, or set storage.data_dir to another"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def admin_token(folder: Path, given: Secret | None) -> tuple[Secret, Path | None]:
    """The machine administrator's token: the given one, else that of the file, which is made at the first start.

    :returns: the token, and the file that holds it (None when it was given).
    """
    if given is not None:
        return given, None
    path = folder / TOKEN_FILE
    try:
        # Never through a moment in which others could read it.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(_TOKEN_BYTES) + "\n")
    except FileExistsError:
        pass
    token = path.read_text().strip()
    if not token:
        raise DataFolderError(f"{path} is empty; remove it, and the next start makes a new token")
    return Secret(token), path
