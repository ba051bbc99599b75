"""A real server as a real process: what acceptance tests and benchmarks start, probe, kill and start again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_READY = re.compile(r"ready at (https?://\S+)")

#: Seconds from exec to the line that says "ready", on a machine that is busy with other tests.
START_SECONDS_MAX: Final = 60.0
#: Seconds from SIGTERM to the end of the process.
STOP_SECONDS_MAX: Final = 30.0


class ServerProcess:
    """``python -m runstead serve`` in a folder of its own, on a port of its own.

    Use it as a context manager; it is stopped by SIGTERM and, if that is not enough, killed. ``environment`` is
    added to a nearly empty one, so that what the developer's shell holds cannot matter.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: str = "",
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.admin_token = "admin-token-of-the-test"  # noqa: S105
        self.url = ""
        self._config = folder / "runstead.toml"
        self._config.parent.mkdir(parents=True, exist_ok=True)
        if config or not self._config.exists():
            self._config.write_text(config)
        self._arguments = arguments
        self._environment = {
            **{
                name: os.environ[name]
                for name in ("PATH", "LANG", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
                if name in os.environ
            },
            "HOME": str(folder),
            "RUNSTEAD_PORT": "0",
            "RUNSTEAD_ADMIN_TOKEN": self.admin_token,
            **(environment or {}),
        }
        self._lines: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def headers(self) -> dict[str, str]:
        """What the machine administrator sends."""
        return {"Authorization": f"Bearer {self.admin_token}"}

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"  # noqa: S101
        return self._process.pid

    @property
    def output(self) -> str:
        """All that the process has printed so far, stdout and stderr."""
        return "\n".join(self._lines)

    def start(self) -> Self:
        """Start it and wait for the line that says it is ready.

        :raises RuntimeError: when it ends before, or is not ready within START_SECONDS_MAX.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "runstead", "serve", "--config", str(self._config), *self._arguments],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process, ready), daemon=True)
        self._reader.start()
        if not ready.wait(START_SECONDS_MAX) or not self.url:
            self.kill()
            raise RuntimeError(f"the server did not come up:\n{self.output}")
        return self

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            self._lines.append(line.rstrip("\n"))
            if not ready.is_set() and (found := _READY.search(line)):
                self.url = found[1]
                ready.set()
        ready.set()

    def stop(self) -> int:
        """SIGTERM, and the exit code. Killed when it does not go within STOP_SECONDS_MAX."""
        assert self._process is not None, "not started"  # noqa: S101
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            self._finish()

    def kill(self) -> None:
        """SIGKILL, as when the machine loses power: nothing is flushed, nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._finish()

    def _finish(self) -> None:
        if self._reader is not None:
            self._reader.join(STOP_SECONDS_MAX)
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()
