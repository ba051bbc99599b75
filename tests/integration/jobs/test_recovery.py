"""The server is killed while jobs run, and started again: real servers, real programs, SIGKILL."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runstead.platform.execution.process import sandbox_status
from runstead.testing.server import ServerProcess

pytestmark = pytest.mark.req("JOBS-007")
SEALED = pytest.mark.skipif(not sandbox_status().available, reason=sandbox_status().reason)


@pytest.fixture(params=["off", pytest.param("required", marks=SEALED)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerProcess]:
    config = f'[execution]\nsandbox = "{request.param}"\n[jobs]\ncpu_percent = 1000\nconcurrency = 2\nlog_part_mb = 1\n'
    with ServerProcess(tmp_path / "house", config=config, arguments=()) as server:
        yield server


def script(server: ServerProcess, name: str, code: str) -> str:
    path = server.folder / name
    path.write_text(code)
    return f"python3 {shlex.quote(name)}"


def call(server: ServerProcess, method: str, path: str, **options: Any) -> Any:
    answer = httpx.request(method, server.url + path, headers=server.headers, timeout=60, **options)
    assert answer.status_code < 300, answer.text
    return answer.json()


def start(server: ServerProcess, command: str, **more: Any) -> str:
    return str(call(server, "POST", "/api/scripts", json={"command": command, **more})["id"])


def crash(server: ServerProcess, meanwhile: Callable[[], None] = lambda: None) -> None:
    server.kill()
    meanwhile()
    server.url = ""
    server.start()


def events(server: ServerProcess, job_id: str, *, after: int = 0) -> Iterator[tuple[str, Any]]:
    headers = {**server.headers, "Accept": "text/event-stream", "Last-Event-ID": str(after)}
    url = f"{server.url}/api/scripts/{job_id}/logs"
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def ended(server: ServerProcess, job_id: str) -> Any:
    return next(data for name, data in events(server, job_id, after=10**9) if name == "end")


def until_line(server: ServerProcess, job_id: str, wanted: str) -> list[dict[str, Any]]:
    seen = []
    for name, data in events(server, job_id):
        assert name == "line", data
        seen.append(data)
        if data["line"] == wanted:
            break
    return seen


WAITS = """
import os, sys, time
print("pid", os.getpid(), flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)
print("goes on", flush=True)
sys.exit(5)
"""


def test_a_program_that_still_runs_is_found_again_and_its_end_is_seen(server: ServerProcess) -> None:
    job_id = start(server, script(server, "waits.py", WAITS))
    first = next(events(server, job_id))[1]["line"]
    crash(server)
    assert call(server, "GET", f"/api/scripts/{job_id}")["status"] == "running"
    (server.folder / "go").touch()
    facts = ended(server, job_id)
    assert (facts["status"], facts["exit_code"], facts["attempt"]) == ("failed", 5, 1)
    lines = call(server, "GET", f"/api/scripts/{job_id}/logs")["lines"]
    assert [line["line"] for line in lines] == [first, "goes on"]
    assert not list((server.folder / "data/jobs").glob("*")), "nothing is left of a run that is over"


def test_what_ended_meanwhile_has_its_exit_code_and_all_its_lines(server: ServerProcess) -> None:
    job_id = start(server, script(server, "waits.py", WAITS))
    next(events(server, job_id))
    status = next((server.folder / "data/jobs").glob(f"{job_id}.1")) / "status"

    def ends() -> None:
        (server.folder / "go").touch()
        while not (status.exists() and status.read_text()):
            os.sched_yield()

    crash(server, ends)
    facts = ended(server, job_id)
    assert (facts["status"], facts["exit_code"]) == ("failed", 5)
    assert facts["lines"] == 2


def test_no_line_is_lost_or_twice_whenever_the_server_dies(server: ServerProcess) -> None:
    chatty = "for n in range(150_000): print('line', n)\nprint('no line end', end='')\n"
    job_id = start(server, script(server, "chatty.py", chatty))
    last, seen = 0, 0
    for _ in range(3):
        for _, data in events(server, job_id, after=last):
            if "seq" not in data:
                break
            assert data["seq"] == last + 1, "a watcher that comes back goes on where it was"
            last, seen = data["seq"], seen + 1
            if seen % 4000 == 0:
                break
        crash(server)
    facts = ended(server, job_id)
    assert (facts["status"], facts["lines"]) == ("completed", 150_001)
    rest, found = 1, []
    while rest:
        page = call(server, "GET", f"/api/scripts/{job_id}/logs", params={"from": rest, "limit": 10_000})
        found += [line["line"] for line in page["lines"]]
        rest = page["next_from"]
    assert found == [f"line {n}" for n in range(150_000)] + ["no line end"]


def test_what_is_gone_is_lost_with_its_log_and_what_was_queued_goes_on_once(server: ServerProcess) -> None:
    running = [start(server, script(server, "waits.py", WAITS)) for _ in range(2)]
    for job_id in running:
        next(events(server, job_id))
    queued = start(server, script(server, "once.py", "open('ran', 'a').write('x')"))

    def end_one() -> None:
        folder = next((server.folder / "data/jobs").glob(f"{running[0]}.1"))
        shell = int(json.loads((folder / "identity.json").read_text())["identity"].split("-")[0])
        os.kill(shell, signal.SIGKILL)

    crash(server, end_one)
    facts = ended(server, running[0])
    assert (facts["status"], facts["exit_code"], facts["lines"]) == ("lost", None, 1)
    (server.folder / "go").touch()
    assert ended(server, running[1])["exit_code"] == 5
    assert ended(server, queued)["status"] == "completed"
    assert (server.folder / "ran").read_text() == "x"


def test_a_timeout_and_a_kill_still_hold(server: ServerProcess) -> None:
    stubborn = (
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('here', flush=True)\ntime.sleep(600)\n"
    )
    command = script(server, "stubborn.py", stubborn)
    timed, killed = start(server, command, timeout=4), start(server, command)
    for job_id in (timed, killed):
        until_line(server, job_id, "here")
    crash(server)
    body = {"grace_seconds": 0.2}
    assert call(server, "POST", f"/api/scripts/{killed}/kill", json=body)["status"] == "killed"
    assert ended(server, timed)["status"] == "timed_out"


def test_secrets_stay_hidden_in_what_comes_after(server: ServerProcess) -> None:
    secret = {"id": "key", "value": "a-secret-that-is-long-enough"}
    call(server, "POST", "/editor/api/secrets", json=secret)
    code = WAITS.replace('"goes on"', 'os.environ["KEY"]')
    job_id = start(server, script(server, "tells.py", code), env={"KEY": "secret://key"})
    next(events(server, job_id))
    crash(server)
    (server.folder / "go").touch()
    ended(server, job_id)
    lines = call(server, "GET", f"/api/scripts/{job_id}/logs")["lines"]
    assert len(lines) == 2
    assert secret["value"] not in json.dumps(lines)


def test_what_a_server_had_no_time_for_is_done_by_the_next(server: ServerProcess) -> None:
    """It died between the end of an attempt and what follows: the folder is still there, the retry has not come."""
    job_id = start(
        server, script(server, "fails.py", "print('one')\nraise SystemExit(1)"), retries=1, retry_seconds=3600
    )
    ended(server, job_id)

    def as_if_before() -> None:
        with sqlite3.connect(server.folder / "data/runstead.db") as database:
            database.execute(
                "update jobs_jobs set status = 'failed', attempt = 1, retried = 0, retry_seconds = 0"
            )
            database.execute("delete from jobs_attempts where attempt = 2")
        database.close()
        (server.folder / f"data/jobs/{job_id}.1").mkdir(exist_ok=True)

    crash(server, as_if_before)
    while call(server, "GET", f"/api/scripts/{job_id}")["attempt"] == 1:
        os.sched_yield()
    facts = ended(server, job_id)
    assert (facts["status"], facts["attempt"], facts["last_line"]) == ("failed", 2, "one")
    while list((server.folder / "data/jobs").iterdir()):
        os.sched_yield()
