"""What the doctor looks at. Each check says how it is and, where it is not well, how to mend it; none changes anything."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runstead.kernel.limits import MIB

if TYPE_CHECKING:
    from runstead.platform.config import Settings

#: Bytes free below which writes will soon fail, and below which it is time to act.
DISK_FREE_BYTES_CRITICAL: Final = 100 * MIB
DISK_FREE_BYTES_LOW: Final = 1024 * MIB

#: What 10 000 connections and the files of as many runs need.
OPEN_FILES_SUGGESTED: Final = 20_000

#: Any clock before this is wrong: the code is younger.
CLOCK_SECONDS_MIN: Final = 1_767_225_600  # 2026-01-01

#: Files from the future by more than this mean that the clock has gone back.
CLOCK_SKEW_SECONDS_MAX: Final = 120

PROBE_SECONDS_MAX: Final = 3.0


class Health(StrEnum):
    """How a checked thing is."""

    OK = "ok"
    #: It works, but not as well or as safely as it could.
    DEGRADED = "degraded"
    #: The server cannot work like this.
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    check: str
    health: Health
    message: str
    #: What to do; empty when all is well.
    mend: str = ""


def run_checks(settings: Settings, migrations: Mapping[str, Path]) -> Iterator[Finding]:
    """All checks, each as soon as it is done. One that breaks is a finding, not the end."""
    checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("python", check_python),
        ("sandbox", lambda: check_sandbox(settings)),
        ("limits", check_groups),
        ("disk", lambda: check_disk(settings.storage.data_dir)),
        ("writing", lambda: check_writing(settings.storage.data_dir)),
        ("database", lambda: check_database(settings, migrations)),
        ("open files", check_open_files),
        ("server", lambda: check_server(settings)),
        ("clock", lambda: check_clock(settings.storage.data_dir)),
        ("secrets", lambda: check_secret_files(settings)),
    )
    for name, check in checks:
        try:
            yield check()
        except Exception as error:  # noqa: BLE001  # whatever it is, the other checks still have something to say
            yield Finding(
                check=name,
                health=Health.CRITICAL,
                message=f"the check itself failed: {type(error).__name__}: {error}",
            )


def check_python() -> Finding:
    """The interpreter, and that its SQLite is new enough."""
    import sqlite3

    versions = f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < (3, 35, 0):
        return Finding(
            check="python",
            health=Health.CRITICAL,
            message=f"{versions}: SQLite 3.35 or newer is needed",
            mend="use a newer Python, or PostgreSQL by RUNSTEAD_DATABASE_URL",
        )
    return Finding(check="python", health=Health.OK, message=versions)


def check_sandbox(settings: Settings) -> Finding:
    """Whether programs and scripts are shut in."""
    from runstead.platform.execution.process import sandbox_status

    mode = settings.execution.sandbox
    if mode == "off":
        return Finding(
            check="sandbox",
            health=Health.DEGRADED,
            message="switched off: programs can read and reach whatever the server can",
            mend='set execution.sandbox = "auto"',
        )
    status = sandbox_status()
    if status.available:
        return Finding(check="sandbox", health=Health.OK, message=status.reason or "bubblewrap works")
    return Finding(
        check="sandbox",
        health=Health.CRITICAL if mode == "required" else Health.DEGRADED,
        message=f"not available: {status.reason}",
        mend=status.mend,
    )


def check_groups() -> Finding:
    """Whether programs can be limited and ended with all that they start."""
    from runstead.platform.execution.process import close_control_groups, group_status

    status = group_status()
    close_control_groups()
    if status.available:
        return Finding(check="limits", health=Health.OK, message=status.reason)
    message = f"of single processes only, not of all that a program starts: {status.reason}"
    return Finding(check="limits", health=Health.DEGRADED, message=message, mend=status.mend)


def check_disk(data_dir: Path) -> Finding:
    """Room in the data folder, or where it will be."""
    place = _nearest(data_dir)
    usage = shutil.disk_usage(place)
    message = f"{usage.free // MIB} MiB of {usage.total // MIB} MiB free at {place}"
    mend = "make room, or move storage.data_dir"
    if usage.free < DISK_FREE_BYTES_CRITICAL:
        return Finding(check="disk", health=Health.CRITICAL, message=message, mend=mend)
    if usage.free < DISK_FREE_BYTES_LOW:
        return Finding(check="disk", health=Health.DEGRADED, message=message, mend=mend)
    return Finding(check="disk", health=Health.OK, message=message)


def check_writing(data_dir: Path) -> Finding:
    """That a file can be made and made durable, and how long that takes: every acknowledged write waits for it."""
    if not data_dir.exists():
        place = _nearest(data_dir)
        if os.access(place, os.W_OK | os.X_OK):
            return Finding(
                check="writing", health=Health.OK, message=f"{data_dir} will be made at the first start"
            )
        return _unwritable(data_dir, f"{data_dir} is not there, and {place} cannot be written")
    begun = time.perf_counter()
    try:
        with tempfile.TemporaryFile(dir=data_dir) as file:
            file.write(b"runstead")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return _unwritable(data_dir, f"{data_dir}: {error.strerror or error}")
    milliseconds = (time.perf_counter() - begun) * 1000
    return Finding(
        check="writing",
        health=Health.OK,
        message=f"{data_dir} can be written; fsync took {milliseconds:.1f} ms",
    )


def _unwritable(data_dir: Path, message: str) -> Finding:
    return Finding(
        check="writing",
        health=Health.CRITICAL,
        message=message,
        mend=f"give this user {data_dir}, or choose another folder by RUNSTEAD_DATA_DIR",
    )


def check_database(settings: Settings, migrations: Mapping[str, Path]) -> Finding:
    """That it opens and has the tables that this version needs."""
    from runstead.kernel.errors import RunsteadError
    from runstead.platform.storage.sql import Database, Pending, pending

    async def compare() -> Pending:
        async with database:
            return await pending(database, migrations)

    try:
        database = Database(settings.storage.database_url, readers=1)
        if database.path is not None and not database.path.exists():
            return Finding(
                check="database", health=Health.OK, message=f"{database.path} will be made at the first start"
            )
        found = asyncio.run(compare())
    except (RunsteadError, ValueError) as error:
        return Finding(
            check="database",
            health=Health.CRITICAL,
            message=str(error),
            mend="see that it runs and that storage.database_url (RUNSTEAD_DATABASE_URL) is right",
        )
    if found.up_to_date:
        return Finding(check="database", health=Health.OK, message=f"{database.url} is up to date")
    return Finding(
        check="database",
        health=Health.DEGRADED,
        message=f"{database.url} lacks {', '.join(found.missing)}",
        mend="the next start brings it up to date, or: runstead db backup && runstead db upgrade",
    )


def check_open_files() -> Finding:
    """How many files and connections this user may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    message = f"limit {_limit(soft)} (could be raised to {_limit(hard)}), {OPEN_FILES_SUGGESTED} suggested"
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES_SUGGESTED:
        return Finding(check="open files", health=Health.OK, message=message)
    return Finding(
        check="open files",
        health=Health.DEGRADED,
        message=message,
        mend=f"ulimit -n {OPEN_FILES_SUGGESTED} before the start, or LimitNOFILE={OPEN_FILES_SUGGESTED} in the systemd unit",
    )


def _limit(value: int) -> str:
    return "unlimited" if value == resource.RLIM_INFINITY else str(value)


def check_server(settings: Settings) -> Finding:
    """That the server answers, or that its port is free for it."""
    host, port = settings.server.host, settings.server.port
    if port == 0:
        return Finding(check="server", health=Health.OK, message="the port is picked at the start")
    if _accepts(host, port):
        return _who_answers(settings)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that was closed a moment ago does not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(
                check="server",
                health=Health.CRITICAL,
                message=f"{host}:{port} cannot be listened on: {error.strerror or error}",
                mend="choose another by RUNSTEAD_HOST and RUNSTEAD_PORT",
            )
    return Finding(check="server", health=Health.OK, message=f"not running; {host}:{port} is free")


def _accepts(host: str, port: int) -> bool:
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # every address includes this one
    try:
        socket.create_connection((target, port), timeout=PROBE_SECONDS_MAX).close()
    except OSError:
        return False
    return True


def _who_answers(settings: Settings) -> Finding:
    from runstead.platform.cli.client import Client, server_url, trust
    from runstead.platform.cli.errors import CliError

    url = server_url(settings)
    try:
        with Client(url, timeout_seconds=PROBE_SECONDS_MAX, verify=trust(settings, url)) as client:
            answer = client.get("/healthz")
    except CliError as error:
        answer = str(error)
    if isinstance(answer, dict) and answer.get("status") == "ok":
        return Finding(check="server", health=Health.OK, message=f"answers at {url}")
    return Finding(
        check="server",
        health=Health.CRITICAL,
        message=f"something else than Runstead answers at {url}",
        mend="stop it, or choose another port by RUNSTEAD_PORT",
    )


def check_clock(data_dir: Path) -> Finding:
    """That the clock is not plainly wrong: everything that is stored is ordered by it."""
    now = time.time()
    mend = "set the clock, and let it be kept: timedatectl set-ntp true"
    if now < CLOCK_SECONDS_MIN:
        stamp = time.strftime("%Y-%m-%d", time.gmtime(now))
        return Finding(check="clock", health=Health.CRITICAL, message=f"it says {stamp}", mend=mend)
    newest = max((entry.stat().st_mtime for entry in _entries(data_dir)), default=0.0)
    if newest > now + CLOCK_SKEW_SECONDS_MAX:
        behind = newest - now
        return Finding(
            check="clock",
            health=Health.DEGRADED,
            message=f"files in {data_dir} are {behind:.0f} s in the future: the clock has gone back",
            mend=mend,
        )
    return Finding(
        check="clock", health=Health.OK, message=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    )


def check_secret_files(settings: Settings) -> Finding:
    """That nobody else may read the files that hold secrets."""
    candidates = (
        settings.base_dir / ".env",
        settings.storage.data_dir / "admin-token",
        settings.server.tls_key,
    )
    exposed = [str(path) for path in candidates if path is not None and _others_may_read(path)]
    if exposed:
        return Finding(
            check="secrets",
            health=Health.DEGRADED,
            message=f"others may read {', '.join(exposed)}",
            mend=f"chmod 600 {' '.join(exposed)}",
        )
    return Finding(check="secrets", health=Health.OK, message="no file with secrets is open to others")


def _others_may_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
