"""Peers beside ours: waiting for their servers, load by ``wrk`` (``apt-get install wrk``), and what it says of it."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Load:
    """Requests a second, and the latency of the middle one and of one in a hundred, in milliseconds."""

    rate: float
    p50: float
    p99: float


def wrk(url: str, *, connections: int, seconds: int, script: Path | None = None) -> Load:
    """:param script: in Lua, for what is not a plain GET. Ends the program when an answer is not good."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    command += [url] if script is None else ["-s", str(script), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text:
        raise SystemExit(text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate is not None
    return Load(float(rate[1]), _latency(text, "50"), _latency(text, "99"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def until_listening(port: int) -> None:
    """Wait for another's server."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.1).close()
            return
        time.sleep(0.05)


def _latency(text: str, share: str) -> float:
    found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", text)
    assert found is not None
    return float(found[1]) * _MILLISECONDS[found[2]]
