"""From a command to its final state, through HTTP, with real processes."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.jobs.conftest import Lines, Open

pytestmark = pytest.mark.req("JOBS-001")


async def start(client: httpx.AsyncClient, command: str, **more: Any) -> str:
    answer = await client.post("/api/scripts", json={"command": command, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def ended(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    """Wait for the end by following the output to its last event."""
    events = await follow(client, job_id)
    assert events[-1][0] == "end"
    return dict(events[-1][1])


async def follow(client: httpx.AsyncClient, job_id: str, **params: Any) -> list[tuple[str, dict[str, Any]]]:
    headers = {"Accept": "text/event-stream"}
    answer = await client.get(f"/api/scripts/{job_id}/logs", headers=headers, params=params)
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    events = []
    for block in answer.text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":")
        )
        if "data" in fields:
            events.append((fields["event"], json.loads(fields["data"])))
    return events


def python(code: str) -> str:
    return f"python3 -c {shlex.quote(code)}"


async def test_a_job_runs_and_its_output_is_kept_in_order(open_jobs: Open, sink: Lines) -> None:
    async with open_jobs() as client:
        job_id = await start(
            client, python("import sys; print('one'); sys.stdout.flush(); print('two', file=sys.stderr)")
        )
        facts = await ended(client, job_id)
        assert (facts["status"], facts["exit_code"], facts["lines"]) == ("completed", 0, 2)
        page = (await client.get(f"/api/scripts/{job_id}/logs")).json()
        assert [(line["seq"], line["line"], line["is_error"]) for line in page["lines"]] == [
            (1, "one", False),
            (2, "two", True),
        ]
    assert {(line["source"], line["level"], line["message"]) for line in sink.emitted} == {
        ("job:python3", "info", "one"),
        ("job:python3", "warn", "two"),
    }


@pytest.mark.parametrize(
    ("command", "status", "facts"),
    [
        ("true", "completed", {"exit_code": 0, "signal": None}),
        ("false", "failed", {"exit_code": 1}),
        ("sh -c 'exit 7'", "failed", {"exit_code": 7}),
        ("sh -c 'kill -9 $$'", "failed", {"exit_code": None, "signal": "SIGKILL"}),
    ],
)
async def test_the_end_of_the_program_is_the_final_state(
    open_jobs: Open, command: str, status: str, facts: dict[str, Any]
) -> None:
    async with open_jobs() as client:
        job = await ended(client, await start(client, command))
        assert job["status"] == status
        assert {name: job[name] for name in facts} == facts


@pytest.mark.req("JOBS-002")
async def test_a_job_that_runs_too_long_is_timed_out_with_its_children(open_jobs: Open) -> None:
    async with open_jobs() as client:
        job = await ended(client, await start(client, "sh -c 'sleep 600 & sleep 600'", timeout=0.3))
        assert (job["status"], job["reason"]) == ("timed_out", "limit: wall")


@pytest.mark.req("JOBS-006")
async def test_kill_ends_a_tree_that_ignores_term(open_jobs: Open) -> None:
    async with open_jobs() as client:
        job_id = await start(
            client, "sh -c \"trap '' TERM; sleep 600 & echo ready; while true; do sleep 600; done\""
        )
        await until_line(client, job_id, "ready")
        answer = await client.post(f"/api/scripts/{job_id}/kill", json={"grace_seconds": 0.2})
        assert answer.status_code == 200
        assert answer.json()["status"] == "killed"
        again = await client.post(f"/api/scripts/{job_id}/kill")
        assert again.status_code == 409


async def test_a_job_that_ends_well_on_term_is_completed(open_jobs: Open) -> None:
    async with open_jobs() as client:
        code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); "
        code += "print('ready', flush=True); time.sleep(600)"
        job_id = await start(client, python(code))
        await until_line(client, job_id, "ready")
        job = (await client.post(f"/api/scripts/{job_id}/kill")).json()
        assert (job["status"], job["exit_code"]) == ("completed", 0)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until it holds: what is waited for happens in another process, which has no event to give."""
    for _ in range(1_000):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never came true")


async def until_line(client: httpx.AsyncClient, job_id: str, text: str) -> None:
    """Wait until the job has written this line."""

    async def written() -> bool:
        return text in (await client.get(f"/api/scripts/{job_id}/logs")).text

    await until(written)


async def until_status(
    client: httpx.AsyncClient, job_id: str, status: str, attempt: int = 1
) -> dict[str, Any]:
    """Wait until the job is in this state; returns it."""
    seen: dict[str, Any] = {}

    async def reached() -> bool:
        seen.update((await client.get(f"/api/scripts/{job_id}")).json())
        return bool(seen["status"] == status and seen["attempt"] >= attempt)

    await until(reached)
    return seen


@pytest.mark.req("JOBS-006")
async def test_restart_is_a_new_attempt_and_the_earlier_log_stays(open_jobs: Open, tmp_path: Path) -> None:
    async with open_jobs() as client:
        code = "import pathlib; p = pathlib.Path('n'); "
        code += "p.write_text('x' + (p.read_text() if p.exists() else '')); print(p.read_text())"
        job_id = await start(client, python(code))
        await ended(client, job_id)
        again = (await client.post(f"/api/scripts/{job_id}/restart")).json()
        assert (again["status"], again["attempt"]) == ("queued", 2)
        await ended(client, job_id)
        for attempt, text in ((1, "x"), (2, "xx")):
            page = (await client.get(f"/api/scripts/{job_id}/logs", params={"attempt": attempt})).json()
            assert [line["line"] for line in page["lines"]] == [text]
        facts = (await client.get(f"/api/scripts/{job_id}")).json()
        assert [one["status"] for one in facts["attempts"]] == ["completed", "completed"]


async def test_a_failed_job_is_retried_as_often_as_it_asks(open_jobs: Open) -> None:
    async with open_jobs() as client:
        job_id = await start(client, "false", retries=1)
        facts = await until_status(client, job_id, "failed", attempt=2)
        assert [one["status"] for one in facts["attempts"]] == ["failed", "failed"]


async def test_delete_takes_the_job_and_its_files(open_jobs: Open, tmp_path: Path) -> None:
    async with open_jobs() as client:
        job_id = await start(client, "echo hello")
        await ended(client, job_id)
        assert list((tmp_path / "data").rglob(f"script_{job_id}*"))
        assert (await client.delete(f"/api/scripts/{job_id}")).status_code == 204
        assert (await client.get(f"/api/scripts/{job_id}")).status_code == 404
        assert not list((tmp_path / "data").rglob(f"script_{job_id}*"))


async def test_a_running_job_is_neither_deleted_nor_restarted(open_jobs: Open) -> None:
    async with open_jobs() as client:
        job_id = await start(client, "sleep 600")
        assert (await client.delete(f"/api/scripts/{job_id}")).status_code == 409
        assert (await client.post(f"/api/scripts/{job_id}/restart")).status_code == 409
        await client.post(f"/api/scripts/{job_id}/kill", json={"grace_seconds": 0})


@pytest.mark.req("JOBS-003")
async def test_pages_are_newest_first_and_complete(open_jobs: Open) -> None:
    async with open_jobs(concurrency=1) as client:
        made = [await start(client, "true") for _ in range(5)]
        for job_id in made:
            await ended(client, job_id)
        seen: list[str] = []
        cursor = None
        while True:
            params = {"limit": "2", "status": "completed"} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/api/scripts", params=params)).json()
            seen += [job["id"] for job in page["jobs"]]
            assert all(
                job["exit_code"] == 0 and job["started_at"] <= job["stopped_at"] for job in page["jobs"]
            )
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == made[::-1]


async def test_only_so_many_run_at_once_and_only_so_many_wait(open_jobs: Open) -> None:
    async with open_jobs(concurrency=1, queue_limit=2) as client:
        first = await start(client, "sleep 600")
        await until_status(client, first, "running")
        waiting = [await start(client, "true") for _ in range(2)]
        refused = await client.post("/api/scripts", json={"command": "true"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        killed = (await client.post(f"/api/scripts/{waiting[0]}/kill")).json()
        assert (killed["status"], killed["started_at"]) == ("killed", None)
        await client.post(f"/api/scripts/{first}/kill", json={"grace_seconds": 0})
        assert (await ended(client, waiting[1]))["status"] == "completed"


async def test_a_stop_of_the_server_waits_and_then_kills(open_jobs: Open) -> None:
    async with open_jobs(grace=0.2) as client:
        job_id = await start(client, "sleep 600")
        await until_status(client, job_id, "running")
    async with open_jobs() as client:
        assert (await client.get(f"/api/scripts/{job_id}")).json()["status"] == "killed"


@pytest.mark.req("JOBS-004")
async def test_a_watcher_that_joins_late_or_comes_back_sees_each_line_once(open_jobs: Open) -> None:
    async with open_jobs() as client:
        job_id = await start(client, python("print('\\n'.join(map(str, range(12_345))))"))
        await ended(client, job_id)
        everything = [data["seq"] for event, data in await follow(client, job_id) if event == "line"]
        assert everything == list(range(1, 12_346))
        resumed = await client.get(
            f"/api/scripts/{job_id}/logs", headers={"Accept": "text/event-stream", "Last-Event-ID": "12340"}
        )
        assert [line for line in resumed.text.split("\n") if line.startswith("id:")] == [
            f"id: {n}" for n in range(12_341, 12_346)
        ]
        tail = [data["line"] for event, data in await follow(client, job_id, tail=2) if event == "line"]
        assert tail == ["12343", "12344"]


@pytest.mark.req("JOBS-005")
async def test_output_without_line_ends_and_invalid_utf8_is_kept(open_jobs: Open, tmp_path: Path) -> None:
    async with open_jobs() as client:
        code = "import sys; sys.stdout.buffer.write(b'\\xff\\x1b[31m' + b'x' * 10_000_000)"
        job_id = await start(client, python(code))
        assert (await ended(client, job_id))["status"] == "completed"
        (log,) = (tmp_path / "data").rglob(f"script_{job_id}.log")
        pieces = [line.split(b" ", 3)[3] for line in log.read_bytes().split(b"\n")[:-1]]
        assert b"".join(pieces) == b"\xff\x1b[31m" + b"x" * 10_000_000
        page = (await client.get(f"/api/scripts/{job_id}/logs", params={"limit": 1})).json()
        assert page["lines"][0]["line"].startswith("�\x1b[31mxxx")
