"""Start to first answer, the memory of an idle server with two script workers, and what `runstead version` takes.

Memory is the proportional set size (PSS) summed over the process tree: pages that processes share count once.
Limits: 1.5 s, 100 MB and 0.25 s. The exit code is 1 when one is passed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from runstead.testing.server import ServerProcess

ROOT = Path(__file__).parents[1]
STARTS = 5
SECONDS_MAX = 1.5
MEGABYTES_MAX = 100.0
VERSION_SECONDS_MAX = 0.25

CONFIG = f"""
[apps]
folders = ["{ROOT}/examples/apps"]
[[endpoints]]
name = "wordcount"
path = "/wordcount"
script_path = "{ROOT}/examples/endpoints/wordcount.py"
"""


def children_of(pid: int) -> list[int]:
    """The pids below this one, all generations."""
    below: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            below += [child, *children_of(child)]
    return below


def pss_megabytes(pid: int) -> float:
    """Proportional set size of one process in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"no Pss in smaps_rollup of {pid}")


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()[:70]


def start_once(folder: Path) -> tuple[float, ServerProcess]:
    """Seconds from exec to the first answered request, and the server, still running."""
    server = ServerProcess(folder, config=CONFIG)
    started = time.monotonic()
    server.start()
    httpx.get(f"{server.url}/hello/world").raise_for_status()
    return time.monotonic() - started, server


def version_seconds() -> float:
    """Of the command line, which loads neither server nor configuration for this: the best of five."""
    seconds = []
    for _ in range(5):
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "runstead", "version"], capture_output=True, check=True)
        seconds.append(time.monotonic() - started)
    return min(seconds)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for number in range(STARTS):
            taken, server = start_once(Path(folder))
            label = "first start (migrates)" if number == 0 else "start"
            print(f"{label:24} {taken:6.2f} s to the first answer")
            seconds.append(taken)
            if number < STARTS - 1:
                server.stop()
        time.sleep(3)  # let what start-up left behind settle; not a test
        tree = [server.pid, *children_of(server.pid)]
        sizes = {pid: pss_megabytes(pid) for pid in tree}
        for pid, size in sizes.items():
            print(f"{size:8.1f} MB PSS  {command_of(pid)}")
        total = sum(sizes.values())
        server.stop()
    typical = sorted(seconds[1:])[len(seconds[1:]) // 2]
    version = version_seconds()
    share = typical / SECONDS_MAX, total / MEGABYTES_MAX, version / VERSION_SECONDS_MAX
    print(
        f"\nstart to first answer  {typical:6.2f} s, median of {STARTS - 1}   ({share[0]:.0%} of {SECONDS_MAX} s)"
    )
    print(f"idle, whole tree       {total:6.1f} MB PSS        ({share[1]:.0%} of {MEGABYTES_MAX:.0f} MB)")
    print(
        f"runstead version       {version:6.2f} s, best of 5     ({share[2]:.0%} of {VERSION_SECONDS_MAX} s)"
    )
    return int(any(one > 1 for one in share))


if __name__ == "__main__":
    sys.exit(main())
