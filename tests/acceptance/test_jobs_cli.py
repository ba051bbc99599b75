"""``runstead jobs | schedules | templates`` as a person types them, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstead.testing.server import ServerProcess

pytestmark = pytest.mark.req("JOBS-001")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    config = "[jobs]\ncpu_percent = 1000\nlog_part_mb = 1\nlog_parts = 2\n"
    with ServerProcess(tmp_path_factory.mktemp("house"), config=config) as server:
        yield server


def cli(server: ServerProcess, *arguments: str, code: int = 0) -> str:
    ran = run(server, *arguments)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout if code == 0 else ran.stderr


def run(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runstead", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=server.folder,
        env={
            "PATH": os.environ["PATH"],
            "RUNSTEAD_URL": server.url,
            "RUNSTEAD_ADMIN_TOKEN": server.admin_token,
        },
    )


def as_json(server: ServerProcess, *arguments: str) -> Any:
    return json.loads(cli(server, *arguments, "--json"))


def test_a_job_is_started_as_asked_and_its_whole_output_is_shown(server: ServerProcess) -> None:
    command = "sh -c 'i=0; while [ $i -lt 12000 ]; do i=$((i+1)); echo $i $LEVEL; done'"
    asked = (
        "--env",
        "LEVEL=info",
        "--label",
        "db=shop",
        "--retries",
        "2",
        "--retry-seconds",
        "3",
        "--priority",
        "7",
    )
    printed = cli(server, "jobs", "start", command, *asked, "--follow").splitlines()
    assert (printed[0], printed[-1], len(printed)) == ("1 info", "12000 info", 12_000)
    (job,) = as_json(server, "jobs", "list", "--limit", "1")["jobs"]
    assert job["labels"] == {"db": "shop"}
    assert (job["retries"], job["retry_seconds"], job["priority"]) == (2, 3, 7)
    assert cli(server, "jobs", "logs", job["id"]).splitlines() == printed, "also where it is many pages"
    assert cli(server, "jobs", "logs", job["id"], "--tail", "2").splitlines() == printed[-2:]
    assert cli(server, "jobs", "logs", job["id"], "--from", "11999").splitlines() == printed[-2:]
    lines = [
        json.loads(line)
        for line in cli(server, "jobs", "logs", job["id"], "--tail", "1", "--json").splitlines()
    ]
    assert [(line["seq"], line["line"]) for line in lines] == [(12_000, "12000 info")]
    since = lines[0]["at"]
    assert cli(server, "jobs", "logs", job["id"], "--since", since).splitlines()[-1] == printed[-1]

    again = cli(server, "jobs", "rerun", job["id"], "--env", "LEVEL=debug", "--label", "db=other", "--follow")
    assert again.splitlines()[-1] == "12000 debug"
    (second, *_) = as_json(server, "jobs", "list", "--limit", "2")["jobs"]
    assert (second["rerun_of"], second["labels"], second["priority"]) == (job["id"], {"db": "other"}, 7)
    assert "NAME=VALUE" in cli(server, "jobs", "start", "true", "--env", "LEVEL", code=2)


def test_what_is_gone_of_a_long_log_is_told(server: ServerProcess) -> None:
    command = "python3 -c 'for n in range(60_000): print(n, 60 * chr(120))'"
    job = as_json(server, "jobs", "start", command)["id"]
    cli(server, "jobs", "logs", job, "--follow")
    shown = run(server, "jobs", "logs", job)
    lines = shown.stdout.splitlines()
    assert lines[-1].startswith("59999 ")
    assert shown.stderr == f"... {60_000 - len(lines)} lines passed over ...\n"
    assert 0 < len(lines) < 60_000


def test_earlier_attempts_keep_their_output(server: ServerProcess) -> None:
    job = as_json(server, "jobs", "start", "sh -c 'echo attempt; exit 3'")["id"]
    cli(server, "jobs", "logs", job, "--follow", code=3)
    assert "attempt 2" in cli(server, "jobs", "restart", job)
    cli(server, "jobs", "logs", job, "--follow", code=3)
    for attempt in ("1", "2"):
        assert cli(server, "jobs", "logs", job, "--attempt", attempt) == "attempt\n"
    assert "no attempt 3" in cli(server, "jobs", "logs", job, "--attempt", "3", code=5)
    cli(server, "jobs", "rm", job)
    cli(server, "jobs", "show", job, code=5)


def test_a_schedule_is_paused_and_resumed_with_what_nobody_is_shown(
    server: ServerProcess, tmp_path: Path
) -> None:
    added = (
        "schedules",
        "add",
        "@yearly",
        "printenv LEVEL",
        "--env",
        "LEVEL=info",
        "--label",
        "a=b",
        "--priority",
        "5",
    )
    made = as_json(server, *added)
    assert made["env"] == ["LEVEL"]
    assert (made["priority"], made["labels"]) == (5, {"a": "b"})
    assert "paused" in cli(server, "schedules", "pause", made["id"])
    shown = as_json(server, "schedules", "show", made["id"])
    assert (shown["status"], shown["next"]) == ("paused", [])
    assert "active, next" in cli(server, "schedules", "resume", made["id"])
    assert as_json(server, "schedules", "show", made["id"]) == made
    job = as_json(server, "schedules", "run", made["id"])["id"]
    assert cli(server, "jobs", "logs", job, "--follow") == "info\n"
    cli(server, "schedules", "rm", made["id"])
    cli(server, "schedules", "pause", made["id"], code=5)


def test_a_template_is_run_with_values_and_files(server: ServerProcess, tmp_path: Path) -> None:
    parameters = [
        {"name": "word", "type": "string"},
        {"name": "list", "type": "file"},
        {"name": "n", "type": "integer"},
    ]
    command = 'sh -c \'echo "$1"; head -n "$2" "$3"\' - {word} {n} {list}'
    definition = {"command": command, "parameters": parameters}
    (tmp_path / "d.json").write_text(json.dumps(definition))
    (tmp_path / "list.txt").write_text("one\ntwo\nthree\n")
    cli(server, "templates", "put", "heads", str(tmp_path / "d.json"))
    given = ("--param", "word=a b; c", "--param", "n=2", "--file", f"list={tmp_path / 'list.txt'}")
    assert cli(server, "templates", "run", "heads", *given, "--follow") == "a b; c\none\ntwo\n"
    assert "NAME=VALUE" in cli(server, "templates", "run", "heads", "--param", "word", code=2)
    assert "word" in cli(server, "templates", "list")
    cli(server, "templates", "rm", "heads")
