from __future__ import annotations

import hashlib
import hmac
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runstead.capabilities.logs import cli
from runstead.platform.cli import Client, CliError, ExitCode

PROJECT = {"slug": "shop", "name": "Shop", "minute_cap": 5000, "retention_days": 3, "created_at": "2026"}
CREDENTIALS = {"slug": "shop", "project_key": "rk_k", "hmac_secret": "rs_s"}
PAGE = {
    "logs": [{"ts": "t1", "level": "warn", "project": "shop", "source": "till", "message": "it broke"}],
    "limit": 50,
    "next_cursor": "c1",
}

Served = Callable[..., list[httpx.Request]]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """A server that answers this, and what it was asked."""

    def serve(answer: Any, status: int = 200) -> list[httpx.Request]:
        seen: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(status, json=answer)

        transport = httpx.MockTransport(handle)
        monkeypatch.setattr(Client, "from_environment", lambda: Client("http://server", transport=transport))
        return seen

    return serve


def run(*words: str) -> None:
    cli.app(list(words), result_action="return_value")


def test_search_asks_for_what_was_given_and_nothing_else(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = served(PAGE)
    run("search", "it broke", "--level", "warn", "--level", "error", "--project", "shop", "--limit", "5")
    assert dict(seen[0].url.params) == {
        "q": "it broke",
        "level": "warn,error",
        "project": "shop",
        "limit": "5",
    }
    out = capsys.readouterr().out
    assert "it broke" in out
    assert "--cursor c1" in out


def test_search_prints_the_answer_as_json(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served(PAGE)
    run("search", "--json")
    assert json.loads(capsys.readouterr().out) == PAGE


def test_send_signs_what_it_sends(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOGS_PROJECT_KEY", "rk_k")
    monkeypatch.setenv("LOGS_HMAC_SECRET", "rs_s")
    seen = served({"received": 1, "processed": 1, "requestId": "r"})
    run("send", "it works", "--level", "warn", "--tags", "a,b", "--json")
    (request,) = seen
    assert json.loads(request.content) == [{"level": "warn", "message": "it works", "tags": "a,b"}]
    assert request.headers["X-Project-Key"] == "rk_k"
    assert request.headers["X-Signature"] == hmac.new(b"rs_s", request.content, hashlib.sha256).hexdigest()
    assert json.loads(capsys.readouterr().out)["processed"] == 1


def test_send_reads_stdin(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGS_HMAC_SECRET", "rs_s")
    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe"))
    seen = served({})
    run("send", "-", "--key", "rk_given")
    assert json.loads(seen[0].content)[0]["message"] == "from a pipe"
    assert seen[0].headers["X-Project-Key"] == "rk_given"


@pytest.mark.parametrize("missing", ["LOGS_PROJECT_KEY", "LOGS_HMAC_SECRET"])
def test_send_says_which_variables_it_needs(
    served: Served, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in ("LOGS_PROJECT_KEY", "LOGS_HMAC_SECRET"):
        monkeypatch.setenv(name, "x")
    monkeypatch.delenv(missing)
    seen = served({})
    with pytest.raises(CliError) as refused:
        run("send", "m")
    assert refused.value.exit_code == ExitCode.USAGE
    assert missing in str(refused.value)
    assert seen == []


COMMANDS: list[tuple[list[str], Any, str, str, Any]] = [
    (["projects", "list"], {"projects": [PROJECT]}, "GET", "/admin/projects", None),
    (
        ["projects", "create", "shop", "--name", "Shop"],
        CREDENTIALS,
        "POST",
        "/admin/projects",
        {"slug": "shop", "name": "Shop", "minute_cap": None, "retention_days": None},
    ),
    (["projects", "set", "shop", "--minute-cap", "7"], PROJECT, "PATCH", "/admin/projects/shop", {"minute_cap": 7}),
    (["projects", "rotate", "shop"], CREDENTIALS, "POST", "/admin/projects/shop/rotate", None),
    (["projects", "rm", "a/b"], None, "DELETE", "/admin/projects/a%2Fb", None),
    (["maintain"], {"deleted_events": 1}, "POST", "/admin/maintain", None),
    (["purge", "--project", "shop", "--older-than-days", "0"], {}, "POST", "/admin/purge?project=shop&older_than_days=0", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "answer", "method", "path", "body"), COMMANDS, ids=[" ".join(row[0][:2]) for row in COMMANDS]
)
@pytest.mark.parametrize("as_json", [False, True])
def test_each_command_asks_its_route(
    served: Served,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    answer: Any,
    method: str,
    path: str,
    body: Any,
    as_json: bool,
) -> None:
    seen = served(answer)
    run(*words, *(["--json"] if as_json else []))
    (request,) = seen
    assert (request.method, request.url.raw_path.decode()) == (method, path)
    assert (json.loads(request.content) if request.content else None) == body
    out = capsys.readouterr().out
    if as_json:
        json.loads(out)
    if answer is CREDENTIALS:
        assert "rk_k" in out
        assert "rs_s" in out
