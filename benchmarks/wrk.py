"""Load by ``wrk`` (``apt-get install wrk``), and what it says of it."""

from __future__ import annotations

import re
import subprocess
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


def _latency(text: str, share: str) -> float:
    found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", text)
    assert found is not None
    return float(found[1]) * _MILLISECONDS[found[2]]
