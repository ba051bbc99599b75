"""The commands against the real server, without a socket between them."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.records.conftest import document

from runstead.capabilities.records import RecordsSettings, capability, cli
from runstead.kernel.secret import Secret
from runstead.platform.cli import Client, CliError, ExitCode
from runstead.platform.config.settings import ServerSettings
from runstead.platform.http import build_app
from runstead.platform.identity import Identity
from runstead.platform.observability import Health, Metrics
from runstead.testing.objects import MemoryObjects
from runstead.testing.scenario import ADMIN_TOKEN

SERVICE = "acme/shop/checkout"


class Bridge(httpx.BaseTransport):
    """From the synchronous client to the application."""

    def __init__(self, app: Any) -> None:
        self._runner = asyncio.Runner()
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._runner.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        asynchronous = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.read()
        )
        response = await self._transport.handle_async_request(asynchronous)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())

    def close(self) -> None:
        """Stays open for the next command."""

    def end(self) -> None:
        self._runner.close()


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def run(
    objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Run a command; what it printed."""
    app = build_app(
        capabilities=[capability(settings=RecordsSettings(), objects=objects, loopback=True)],
        settings=ServerSettings(access_log=False),
        identity=Identity(admin_token=Secret(ADMIN_TOKEN)),
        health=Health(),
        metrics=Metrics(),
    )
    bridge = Bridge(app)
    monkeypatch.setattr(
        Client,
        "from_environment",
        lambda: Client("http://127.0.0.1", token=Secret(ADMIN_TOKEN), transport=bridge),
    )

    def command(*words: str) -> str:
        capsys.readouterr()
        try:
            cli.app(list(words), result_action="return_value")
        finally:
            printed = capsys.readouterr().out
        return printed

    yield command
    bridge.end()


@pytest.fixture
def put(run: Callable[..., str], tmp_path: Path) -> Callable[..., Any]:
    """Record a document from a file."""

    def record(**changes: Any) -> Any:
        file = tmp_path / "record.json"
        file.write_text(json.dumps(document(**changes)))
        return json.loads(run("put", str(file), "--json"))

    return record


def test_a_file_is_recorded_once(put: Callable[..., Any]) -> None:
    first = put()
    assert first["accepted"] is True
    assert put() == {**first, "duplicate": True}


def test_standard_input_is_recorded(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(document()).encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert json.loads(run("put", "-", "--json"))["run_id"] == "run-1"


def test_a_problem_is_shown_with_its_field(put: Callable[..., Any]) -> None:
    with pytest.raises(CliError, match=r"artifact.*E_RECORD"):
        put(artifact=1)


def test_a_missing_file_is_a_mistake_of_usage(run: Callable[..., str]) -> None:
    with pytest.raises(CliError, match="No such file") as caught:
        run("put", "/nowhere/record.json")
    assert caught.value.exit_code == ExitCode.USAGE


def test_runs_are_listed_and_the_next_page_is_offered(
    run: Callable[..., str], put: Callable[..., Any]
) -> None:
    for number in range(3):
        put(run_id=f"r{number}", commit_sha=f"c{number}")
    printed = run("list", SERVICE, "--limit", "2")
    assert printed.splitlines()[0].split() == ["run_id", "received_at", "commit_sha", "sha256"]
    assert [line.split()[0] for line in printed.splitlines()[1:3]] == ["r2", "r1"]
    cursor = printed.split("--cursor ")[1].strip()
    page = json.loads(run("list", SERVICE, "--cursor", cursor, "--json"))
    assert [entry["run_id"] for entry in page["runs"]] == ["r0"]
    by_commit = json.loads(run("list", SERVICE, "--commit", "c1", "--json"))
    assert [entry["run_id"] for entry in by_commit["runs"]] == ["r1"]


def test_a_record_is_shown(run: Callable[..., str], put: Callable[..., Any]) -> None:
    put()
    shown = json.loads(run("show", SERVICE, "run-1", "--json"))
    assert shown["artifact"] == document()["artifact"]
    assert json.loads(run("latest", SERVICE, "--json")) == shown


@pytest.mark.parametrize("words", [("show", SERVICE, "run-9"), ("latest", SERVICE)])
def test_what_is_not_there_has_an_exit_code_of_its_own(
    run: Callable[..., str], words: tuple[str, ...]
) -> None:
    with pytest.raises(CliError) as caught:
        run(*words)
    assert caught.value.exit_code == ExitCode.NOT_FOUND


@pytest.mark.parametrize("service", ["acme/shop", "acme/shop/checkout/x", "acme//checkout"])
def test_what_is_no_service_is_a_mistake_of_usage(run: Callable[..., str], service: str) -> None:
    with pytest.raises(CliError, match="ORGANIZATION/PROJECT/SERVICE") as caught:
        run("latest", service)
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_sound_record_is_verified_also_with_large_numbers(
    run: Callable[..., str], put: Callable[..., Any]
) -> None:
    put(artifact={"large": 1e20, "small": 1e-7, "text": "ö\U0001f600"})
    assert json.loads(run("verify", SERVICE, "run-1", "--json"))["ok"] is True


async def _tamper(objects: MemoryObjects, location: str) -> None:
    data = await objects.get(location)
    await objects.replace(location, data.replace(b'"ok":true', b'"ok":false'))


def test_a_record_that_was_changed_is_found_out(
    run: Callable[..., str], put: Callable[..., Any], objects: MemoryObjects
) -> None:
    location = put()["location"]
    put(run_id="r2")
    asyncio.run(_tamper(objects, location))
    with pytest.raises(CliError, match="not what was accepted"):
        run("verify", SERVICE, "run-1")
    with pytest.raises(CliError, match="1 damaged"):
        run("reindex")


def test_reindex_tells_how_many_records_there_are(run: Callable[..., str], put: Callable[..., Any]) -> None:
    for number in range(3):
        put(run_id=f"r{number}")
    assert json.loads(run("reindex", "--json")) == {"records": 3, "damaged": []}
