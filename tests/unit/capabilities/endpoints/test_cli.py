from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runstead.capabilities.endpoints import cli
from runstead.platform.cli import Client, CliError, ExitCode

ROW = {
    "name": "a",
    "method": "POST",
    "path": "/a",
    "enabled": True,
    "calls": 3,
    "failures": {"E_AUTH": 1, "E_BUSY": 1},
    "p50_ms": 1.5,
    "p99_ms": 9.0,
    "running": 0,
    "waiting": 0,
}
RUN = {
    "run_id": "r1",
    "status": "failed",
    "code": "E_SCRIPT_EXIT",
    "exit_code": 3,
    "started_at": "2026-01-31T12:00:00.000000Z",
    "duration_ms": 12.5,
}

Served = Callable[[dict[str, Any]], list[httpx.Request]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """A server that answers these paths, and what it was asked."""

    def serve(answers: dict[str, Any]) -> list[httpx.Request]:
        seen: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, json=answers[request.url.raw_path.decode()])

        transport = httpx.MockTransport(handle)
        monkeypatch.setattr(Client, "from_environment", lambda: Client("http://server", transport=transport))
        return seen

    return serve


def run(*words: str) -> None:
    cli.app(list(words), result_action="return_value")


def test_list_shows_each_endpoint_with_its_counters(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served({"/api/endpoints": {"endpoints": [ROW]}})
    run("list")
    header, line = capsys.readouterr().out.splitlines()
    assert header.split()[:6] == ["name", "method", "path", "enabled", "calls", "failed"]
    assert line.split()[0] == "a"
    assert "2" in line.split()


def test_json_is_what_the_server_said(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served({"/api/endpoints": {"endpoints": [ROW]}})
    run("list", "--json")
    assert json.loads(capsys.readouterr().out) == [ROW]


def test_runs_says_how_to_go_on(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served({"/api/endpoints/a/runs?limit=1": {"runs": [RUN], "limit": 1, "next_cursor": "r1"}})
    run("runs", "a", "--limit", "1")
    out = capsys.readouterr().out
    assert "E_SCRIPT_EXIT" in out
    assert out.splitlines()[-1] == "more: runstead endpoints runs a --cursor r1"


def test_show_joins_a_run_and_its_files(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    base = "/api/endpoints/a%20b/runs/r1"
    served({base: RUN, f"{base}/artifacts": {"artifacts": [{"path": "x.txt"}]}})
    run("show", "a b", "r1", "--json")
    assert json.loads(capsys.readouterr().out) == {**RUN, "artifacts": [{"path": "x.txt"}]}


def test_try_sends_the_request_from_the_command_line_or_stdin(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = served({"/api/endpoints/a/try": {"run_id": "r1"}})
    run("try", "a", '{"params": {"x": 1}}', "--json")
    monkeypatch.setattr("sys.stdin", io.StringIO('{"params": {"x": 2}}'))
    run("try", "a", "-")
    run("try", "a", "--json")
    assert [json.loads(request.content) for request in seen] == [
        {"params": {"x": 1}},
        {"params": {"x": 2}},
        {},
    ]
    assert '"run_id": "r1"' in capsys.readouterr().out


def test_try_with_what_is_no_json_asks_nobody(served: Served) -> None:
    seen = served({})
    with pytest.raises(CliError, match="not JSON") as refusal:
        run("try", "a", "{")
    assert refusal.value.exit_code == ExitCode.USAGE
    assert seen == []


def test_schema_needs_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    run("schema", "--json")
    assert json.loads(capsys.readouterr().out)["$defs"].keys() >= {"TextEntry", "EntryMeta"}
