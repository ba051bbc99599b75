"""Mixed load with sudden deaths: of programs, of jobs, and of the server itself; then everything is counted.

    python benchmarks/soak.py [SECONDS]

Half an hour by default; the suite runs a minute of it. It ends with 1 when a program is left, a line of a finished job is
missing, a job is in no final state, something ran more often than it had attempts, or the memory of the server grew.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from runstead.testing.server import ServerProcess

SECONDS_DEFAULT = 1800
SETTLE_SECONDS = 60
#: Between two deaths, about.
PAUSE_SECONDS = 1.5
MEMORY_MB_MORE_MAX = 60
CONFIG = """
[server]
access_log = false
[logs]
[jobs]
concurrency = 6
cpu_percent = 1000
log_part_mb = 1
[[endpoints]]
name = "echo"
path = "/echo"
script_path = "echo.py"
[[endpoints]]
name = "slow"
path = "/slow"
script_path = "slow.py"
timeout_ms = 3000
"""
#: Notes that it began, prints so many numbered lines, and ends as it is told.
JOB = """
import os, sys, time
lines, pause, code = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
with open('began-' + os.environ['RUNSTEAD_JOB_ID'], 'a') as file:
    file.write('x')
if sys.argv[4] == 'tree' and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        time.sleep(3600)
    os._exit(0)
for number in range(1, lines + 1):
    print(number, flush=number % 50 == 0)
    if pause:
        time.sleep(pause)
sys.exit(code)
"""
SCRIPTS = {
    "job.py": JOB,
    "echo.py": "import json, sys\njson.dump({'results': [json.load(sys.stdin)['params']]}, sys.stdout)\n",
    "slow.py": "import time\ntime.sleep(5)\n",
}


@dataclass(slots=True)
class Soak:
    """One run: the server, what was asked of it, and what went wrong."""

    server: ServerProcess
    ends_at: float
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    #: Job id → the arguments of its program.
    jobs: dict[str, list[str]] = field(default_factory=dict)
    did: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    @property
    def over(self) -> bool:
        return time.monotonic() > self.ends_at

    def call(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """None: the server was away."""
        try:
            return self.client.request(method, self.server.url + path, headers=self.server.headers, **options)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None

    def start_jobs(self) -> None:
        rng = random.Random(2)
        while not self.over:
            arguments = [
                str(rng.choice([10, 200, 3000, 20_000])),
                str(rng.choice([0, 0, 0.0005])),
                str(rng.choice([0, 0, 0, 3])),
                rng.choice(["plain", "plain", "tree"]),
            ]
            body = {"command": f"python3 job.py {' '.join(arguments)}", "retries": rng.choice([0, 0, 1])}
            answer = self.call("POST", "/api/scripts", json={**body, "retry_seconds": 0.2})
            if answer is not None and answer.status_code == 201:
                with self.lock:
                    self.jobs[answer.json()["id"]] = arguments
                self.did["jobs started"] += 1
            time.sleep(rng.uniform(0.02, 0.3))

    def call_endpoints(self) -> None:
        rng = random.Random(3)
        while not self.over:
            path = rng.choice(["/echo"] * 6 + ["/slow"])
            number = rng.randrange(10**6)
            answer = self.call("POST", path, json={"params": {"n": number}})
            if answer is None:
                continue
            self.did[f"calls answered {answer.status_code}"] += 1
            if answer.status_code == 200 and answer.json()["results"] != [{"n": number}]:
                self.wrong.append(f"a call of {number} was answered {answer.text[:200]}")
            if answer.status_code == 500:
                self.wrong.append(f"{path}: {answer.text[:300]}")

    def watch(self) -> None:
        rng = random.Random(4)
        while not self.over:
            with self.lock:
                known = list(self.jobs)
            if known:
                self._follow(rng.choice(known[-10:]))
            time.sleep(0.05)

    def _follow(self, job: str) -> None:
        url, headers = f"{self.server.url}/api/scripts/{job}/logs", dict(self.server.headers)
        last = 0
        try:
            with httpx.stream(
                "GET", url, headers={**headers, "Accept": "text/event-stream"}, timeout=10
            ) as stream:
                for line in stream.iter_lines():
                    if line.startswith('data: {"missed"'):
                        last += json.loads(line[6:])["missed"]
                    elif line.startswith("id: "):
                        number = int(line[4:])
                        if number != last + 1 and last:
                            self.wrong.append(f"a watcher of {job} saw line {number} after {last}")
                        last = number
                    if self.over:
                        return
        except (httpx.HTTPError, httpx.InvalidURL):
            return
        self.did["logs followed to the end"] += 1

    def disturb(self) -> None:
        while not self.over:
            time.sleep(self.rng.uniform(0.5, 1.5) * PAUSE_SECONDS)
            kind = self.rng.choice(["program", "program", "program", "job", "job", "server"])
            if kind == "server":
                self.memory.append(_memory_mb(self.server.pid))
                self.server.kill()
                self.did["servers killed"] += 1
                time.sleep(self.rng.choice([0, 0.5, 2]))
                self.server.start()
            elif kind == "program" and (pids := list(programs(self.server.folder))):
                try:
                    os.kill(self.rng.choice(pids), signal.SIGKILL)
                    self.did["programs killed"] += 1
                except ProcessLookupError:
                    continue
            elif kind == "job":
                self._kill_a_job()

    def _kill_a_job(self) -> None:
        answer = self.call("GET", "/api/scripts", params={"status": "running"})
        running = answer.json()["jobs"] if answer is not None and answer.status_code == 200 else []
        if running:
            job = self.rng.choice(running)["id"]
            self.call("POST", f"/api/scripts/{job}/kill", json={"grace_seconds": 0.5})
            self.did["jobs killed"] += 1

    def settle(self) -> None:
        """Wait until everything has ended."""
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            states = [
                self.call("GET", "/api/scripts", params={"status": one}) for one in ("queued", "running")
            ]
            if all(one is not None and one.json()["jobs"] == [] for one in states):
                return
            time.sleep(0.5)
        self.wrong.append("jobs are still queued or running")

    def count(self) -> None:
        """Every job that was accepted, against what it should have left."""
        for job, arguments in self.jobs.items():
            answer = self.call("GET", f"/api/scripts/{job}")
            if answer is None or answer.status_code != 200:
                self.wrong.append(f"{job} is gone")
                continue
            facts = answer.json()
            self.did[f"ended {facts['status']}"] += 1
            if facts["status"] in ("queued", "running"):
                self.wrong.append(f"{job} is {facts['status']}")
            self._check_lines(job, facts, int(arguments[0]))
            began = self.server.folder / f"began-{job}"
            times = len(began.read_text()) if began.exists() else 0
            if times > facts["attempt"]:
                self.wrong.append(f"{job} began {times} times in {facts['attempt']} attempts")

    def _check_lines(self, job: str, facts: dict[str, Any], wanted: int) -> None:
        found: list[str] = []
        start: int | None = 1
        while start is not None:
            answer = self.call("GET", f"/api/scripts/{job}/logs", params={"from": start, "limit": 10_000})
            if answer is None or answer.status_code != 200:
                self.wrong.append(f"{job}: its log cannot be read")
                return
            page = answer.json()
            found += [line["line"] for line in page["lines"]]
            start = page["next_from"]
        expected = [str(number) for number in range(1, wanted + 1)]
        whole = facts["status"] == "completed" or facts["exit_code"] == 3
        if found != (expected if whole else expected[: len(found)]) and not _was_cut(
            found, expected, whole=whole
        ):
            self.wrong.append(f"{job} ({facts['status']}) has {len(found)} of {wanted} lines: {found[-3:]}")


def _was_cut(found: list[str], expected: list[str], *, whole: bool) -> bool:
    """A program that was killed may have written half of its last line."""
    before = len(found) - 1
    return (
        not whole
        and before >= 0
        and found[:-1] == expected[:before]
        and expected[before].startswith(found[-1])
    )


def programs(folder: Path) -> Iterator[int]:
    """The Python programs that run in this folder for jobs and endpoints."""
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit():
                continue
            command = (entry / "cmdline").read_bytes().split(b"\0")
            is_ours = command[0].endswith(b"python3") and command[1] == b"job.py"
            if is_ours and (entry / "cwd").readlink() == folder:
                yield int(entry.name)
        except (OSError, IndexError):
            continue


def left(folder: Path) -> list[str]:
    """Whatever still runs with this folder as its place, the server aside."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if (
                entry.name.isdigit()
                and int(entry.name) != os.getpid()
                and (entry / "cwd").readlink() == folder
            ):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS_DEFAULT
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        for script, text in SCRIPTS.items():
            (folder / script).write_text(text)
        with ServerProcess(folder, config=CONFIG) as server:
            fresh = _memory_mb(server.pid)
            soak = Soak(server, time.monotonic() + seconds)
            work: list[Callable[[], None]] = [
                soak.start_jobs, soak.call_endpoints, soak.call_endpoints, soak.watch, soak.watch, soak.disturb,
            ]  # fmt: skip
            threads = [threading.Thread(target=one) for one in work]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            soak.settle()
            grown = max([*soak.memory, _memory_mb(server.pid)]) - fresh
            soak.count()
            if grown > MEMORY_MB_MORE_MAX:
                soak.wrong.append(f"the memory of the server grew by {grown:.0f} MB")
            if "Traceback" in server.output:
                soak.wrong.append(server.output[server.output.index("Traceback") - 500 :][:3000])
        soak.wrong += [f"left behind: {one}" for one in left(folder)]
        soak.wrong += [f"left behind: {one}" for one in (folder / "data/jobs").iterdir()]
        soak.client.close()
    print(
        json.dumps(
            {
                "seconds": seconds,
                "memory_mb": {"fresh": fresh, "grown": grown},
                **dict(sorted(soak.did.items())),
            },
            indent=2,
        )
    )
    for one in soak.wrong[:20]:
        print("WRONG:", one)
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
