"""A copy of an SQLite database while it is in use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from runstead.platform.cli.errors import CliError, ExitCode


def back_up(source: Path, target: Path) -> int:
    """Copy the database as it is at this moment; the server may go on writing. Returns the bytes of the copy.

    The copy appears under its name only when it is whole, sound and on the disk; an existing file is never replaced.

    :raises CliError: when there is nothing to copy, the target exists, or the copy fails.
    """
    if not source.is_file():
        message = f"there is no database at {source} yet; the first start of the server makes it"
        raise CliError(message, exit_code=ExitCode.NOT_FOUND)
    if target.exists():
        raise CliError(f"{target} exists; a backup never replaces a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        # Made first, and for the owner alone: what is in the database is nobody else's to read.
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(source, partial)
        _sync(partial)
        os.link(partial, target)
        _sync(target.parent)
    except FileExistsError:
        raise CliError(f"{target} exists; a backup never replaces a file") from None
    except (sqlite3.Error, OSError) as error:
        raise CliError(f"the backup failed: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Path, target: Path) -> None:
    # VACUUM INTO reads one snapshot, so that a busy server cannot make it start over, as the backup API would.
    with contextlib.closing(
        sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=30)
    ) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))
    with contextlib.closing(sqlite3.connect(target)) as connection:
        (verdict,) = connection.execute("PRAGMA quick_check").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {verdict}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
