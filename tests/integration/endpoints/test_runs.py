"""What is left of a run: its folder, its log lines, its record."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.integration.endpoints.conftest import SECRET, declare, python, shell, world

from runstead.capabilities.endpoints import RunsSettings
from runstead.kernel.clock import parse_rfc3339
from runstead.kernel.events import Event
from runstead.platform.storage.sql import Outbox


@pytest.mark.req("EP-010")
async def test_a_run_leaves_a_folder_with_all_that_happened(tmp_path: Path) -> None:
    script = shell(
        tmp_path, 'echo kept > "$RUNSTEAD_ARTIFACTS/a.txt"; echo note >&2; echo "{\\"results\\": [1]}"'
    )
    async with world(tmp_path, [declare(script)]) as served:
        response = await served.client.post(
            "/a", json={"params": {"x": 1}}, headers={"X-Request-ID": "the-request"}
        )
        run_id = response.json()["run_id"]
    (folder,) = served.runs()
    assert folder.name == run_id
    assert folder.parent.name == "a"
    assert abs((datetime.now(UTC).date() - date.fromisoformat(folder.parent.parent.name)).days) <= 1
    assert (folder / "stdout").read_bytes() == b'{"results": [1]}\n'
    assert (folder / "stderr").read_bytes() == b"note\n"
    assert (folder / "artifacts/a.txt").read_text() == "kept\n"
    request = msgspec.json.decode((folder / "request.json").read_bytes())
    assert request == {
        "entry_ids": [],
        "params": {"x": 1},
        "request_id": "the-request",
        "endpoint": "a",
        "run_id": run_id,
    }
    result = served.result()
    assert result["status"] == "succeeded"
    assert (result["exit_code"], result["signal"], result["code"], result["limit"]) == (0, None, None, None)
    assert (result["stdout_bytes"], result["stderr_bytes"]) == (17, 5)
    assert parse_rfc3339(result["started_at"]) <= parse_rfc3339(result["ended_at"])
    assert result["duration_ms"] > 0
    assert result["queued_ms"] >= 0
    assert result["cpu_seconds"] is not None
    assert result["max_rss_bytes"] is not None


@pytest.mark.req("EP-007")
async def test_no_secret_is_left_in_a_folder_a_log_line_or_an_answer_of_failure(tmp_path: Path) -> None:
    script = python(
        tmp_path,
        f"""
import os, pathlib, sys
folder = pathlib.Path(os.environ["RUNSTEAD_ARTIFACTS"])
(folder / "deep").mkdir()
(folder / "deep/a.txt").write_text("token {SECRET}")
(folder / "b.bin").write_bytes(b"\\xff" * 100_000 + b"{SECRET}" + b"\\x00")
print("ERROR with {SECRET}", file=sys.stderr)
print('{{"{SECRET}": 1}}')
""",
    )
    async with world(tmp_path, [declare(script)]) as served:
        response = await served.client.post(
            "/a", json={"params": {"password": f"my {SECRET}", SECRET: [SECRET]}}
        )
    assert response.json()["error"]["code"] == "E_SCRIPT_OUTPUT"
    assert SECRET not in response.text
    (folder,) = served.runs()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert files.keys() == {
        "request.json",
        "result.json",
        "stdout",
        "stderr",
        "artifacts/deep/a.txt",
        "artifacts/b.bin",
    }
    for name, path in files.items():
        assert SECRET.encode() not in path.read_bytes(), name
    assert files["artifacts/deep/a.txt"].read_text() == "token ***"
    assert files["artifacts/b.bin"].read_bytes() == b"\xff" * 100_000 + b"***\x00"
    assert SECRET not in repr(served.logs.lines)
    assert served.logs.lines[0].message == "ERROR with ***"


async def test_lines_of_stderr_arrive_while_the_program_runs_with_level_and_run(tmp_path: Path) -> None:
    body = """
echo "WARN low on paper" >&2
printf "no end" >&2
until [ -e "$RUNSTEAD_ARTIFACTS/go" ]; do sleep 0.01; done
echo "{}"
"""
    async with world(tmp_path, [declare(shell(tmp_path, body))]) as served:
        calling = asyncio.ensure_future(served.client.post("/a", headers={"X-Request-ID": "the-request"}))
        line = await served.logs.until("low on paper")
        assert not calling.done()
        (served.runs()[0] / "artifacts/go").touch()
        run_id = (await calling).json()["run_id"]
    assert (line.source, line.level, line.request_id) == ("endpoint:a", "warn", "the-request")
    assert line.context == {"run_id": run_id}
    assert [each.message for each in served.logs.lines] == ["WARN low on paper", "no end"]


async def test_a_failed_run_ends_with_a_line_that_says_error(tmp_path: Path) -> None:
    async with world(tmp_path, [declare(shell(tmp_path, "echo trace >&2; exit 3"))]) as served:
        await served.client.post("/a")
    last = served.logs.lines[-1]
    assert (last.level, last.message) == ("error", "E_SCRIPT_EXIT: The program ended with exit code 3.")
    assert last.context["details"] == {"exit_code": 3, "stderr": "trace\n"}


async def test_with_record_each_result_becomes_an_event_before_the_answer(tmp_path: Path) -> None:
    good, bad = shell(tmp_path, "echo '{\"results\": [7]}'", "good.sh"), shell(tmp_path, "exit 1", "bad.sh")
    events: list[Event] = []
    both = asyncio.Event()

    async def handle(event: Event) -> None:
        events.append(event)
        if len(events) == 2:
            both.set()

    async with world(
        tmp_path, [declare(good, "good"), declare(bad, "bad")], runs=RunsSettings(record=True)
    ) as served:
        answer = (await served.client.post("/good")).json()
        await served.client.post("/bad")
        # Nobody listened yet: what was answered is in the database.
        async with Outbox(served.db, {"endpoints.finished": handle}), asyncio.timeout(30):
            await both.wait()
    payloads: dict[str, dict[str, Any]] = {event.payload["name"]: dict(event.payload) for event in events}
    assert payloads["good"].keys() == {"run_id", "name", "artifact", "summary", "finished_at"}
    assert payloads["good"]["run_id"] == answer["run_id"]
    assert payloads["good"]["artifact"]["results"] == [7]
    assert payloads["good"]["artifact"]["status"] == "succeeded"
    assert payloads["bad"]["artifact"]["code"] == "E_SCRIPT_EXIT"
    assert "E_SCRIPT_EXIT" in payloads["bad"]["summary"]


async def test_an_answer_whose_record_cannot_be_kept_is_no_answer(tmp_path: Path) -> None:
    script = shell(tmp_path, "echo '{}'")
    async with world(tmp_path, [declare(script)], runs=RunsSettings(record=True)) as served:
        await served.db.__aexit__(None, None, None)
        response = await served.client.post("/a")
    assert response.status_code >= 500


async def test_old_runs_are_forgotten_while_the_server_runs(tmp_path: Path) -> None:
    script = shell(tmp_path, 'head -c 2000000 /dev/zero > "$RUNSTEAD_ARTIFACTS/a"; echo "{}"')
    runs = RunsSettings(max_total_bytes=5_000_000)
    async with world(tmp_path, [declare(script)], runs=runs) as served:
        ids = [(await served.client.post("/a")).json()["run_id"] for _ in range(4)]
        await served.service.sweep()
        assert [folder.name for folder in served.runs()] == ids[2:]
