"""Real servers for tests: a private PostgreSQL cluster from the machine's binaries."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_PR_SET_PDEATHSIG = 1
_START_SECONDS_MAX = 30

#: Speed instead of safety, and a collation that is not the order of bytes: what relies on that shall fail here.
_INITDB = ("--no-sync", "--auth=trust", "--username=runstead", "--encoding=UTF8", "--locale=C.UTF-8")
_ICU = ("--locale-provider=icu", "--icu-locale=en-US")
_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "listen_addresses=",
    "shared_buffers=16MB",
    "max_connections=60",
)


class MissingServiceError(Exception):
    """Why a test cannot run here."""


class PostgresCluster:
    """A cluster of its own on a unix socket. It dies with this process, however that ends."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.folder = folder
        self._binaries = binaries
        self._data = folder / "data"
        self._server: subprocess.Popen[bytes] | None = None
        # The server refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def create(self) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(self._data), *_INITDB]
        for extra in (_ICU, ()):  # not every build has ICU
            done = subprocess.run(
                [*command, *extra], cwd=self.folder, capture_output=True, check=False, **self._user
            )
            if done.returncode == 0:
                return
            shutil.rmtree(self._data, ignore_errors=True)
        raise MissingServiceError(f"initdb failed: {done.stderr.decode(errors='replace').strip()}")

    def start(self) -> None:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [str(self._binaries / "postgres"), "-D", str(self._data), "-k", str(self.folder), *settings],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - the tests start it before they start threads
                **self._user,
            )
        until = time.monotonic() + _START_SECONDS_MAX
        while True:
            try:
                psycopg.connect(self.dsn("postgres")).close()
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > until:
                    raise MissingServiceError(
                        (self.folder / "log").read_text(errors="replace")[-2000:]
                    ) from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """End it at once; nothing in it is worth a checkpoint."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(timeout=30)
            self._server = None

    def dsn(self, database: str) -> str:
        return f"host={self.folder} user=runstead dbname={database}"

    def url(self, database: str) -> str:
        return f"postgresql://runstead@/{database}?host={self.folder}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """A database of its own; yields its URL."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def postgres_cluster() -> Iterator[PostgresCluster]:
    """A running cluster.

    :raises MissingServiceError: PostgreSQL is not installed, or does not start.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    if not found:
        raise MissingServiceError("PostgreSQL is not installed (apt-get install postgresql)")
    # In /tmp itself: the path of a socket has 107 bytes at most, and pytest's folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="runstead-pg-", dir="/tmp"))
    cluster = PostgresCluster(found[-1].parent, folder)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis server of its own that keeps nothing; yields its URL.

    :raises MissingServiceError: Redis is not installed, or does not start.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        raise MissingServiceError("Redis is not installed (apt-get install redis-server)")
    folder = Path(tempfile.mkdtemp(prefix="runstead-redis-", dir="/tmp"))
    socket = folder / "socket"
    options = (
        "--port",
        "0",
        "--save",
        "",
        "--appendonly",
        "no",
        "--unixsocket",
        str(socket),
        "--dir",
        str(folder),
    )
    server = subprocess.Popen(
        [binary, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - the tests start it before they start threads
    )
    try:
        until = time.monotonic() + _START_SECONDS_MAX
        while not socket.exists():
            if server.poll() is not None or time.monotonic() > until:
                raise MissingServiceError("redis-server does not start")
            time.sleep(0.02)
        yield f"redis+unix://{socket}"
    finally:
        server.kill()
        server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
