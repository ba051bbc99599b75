"""Commands find their server and a credential for it, and every failure has its exit code."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from runstead.kernel.secret import Secret
from runstead.platform.cli import Client, CliError, ExitCode, segment


@dataclass
class Server:
    """A server that answers what it is told to, and remembers who asked."""

    port: int = 0
    answer: tuple[int, str, bytes] = (200, "application/json", b'{"ok": true}')
    requests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def authorization(self) -> str | None:
        value = self.requests[-1]["headers"].get("Authorization")
        return None if value is None else str(value)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.requests.append(
                {"method": self.command, "path": self.path, "headers": self.headers, "body": body}
            )
            status, kind, content = state.answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815  # the library's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def put_token(folder: Path, token: str = "from-the-file") -> None:
    (folder / "data").mkdir()
    (folder / "data/admin-token").write_text(f"{token}\n", encoding="ascii")


# Which server, and as whom


def test_the_server_is_that_of_the_configuration_here(server: Server, tmp_path: Path) -> None:
    (tmp_path / "runstead.toml").write_text(
        f"[server]\nport = {server.port}\n[jobs]\nunknown = 1\n", encoding="utf-8"
    )
    with Client.from_environment(env={}, cwd=tmp_path) as client:
        assert client.get("/x", limit=5, cursor=None) == {"ok": True}
    assert server.requests[-1]["path"] == "/x?limit=5"
    assert server.authorization is None


def test_an_address_that_means_all_of_them_is_reached_by_loopback(server: Server, tmp_path: Path) -> None:
    env = {"RUNSTEAD_HOST": "0.0.0.0", "RUNSTEAD_PORT": str(server.port)}
    with Client.from_environment(env=env, cwd=tmp_path) as client:
        assert client.base_url == f"http://127.0.0.1:{server.port}"
        assert client.get("/x") == {"ok": True}
    with Client.from_environment(env={**env, "RUNSTEAD_HOST": "::"}, cwd=tmp_path) as client:
        assert client.base_url == f"http://[::1]:{server.port}"


@pytest.mark.parametrize(
    ("env", "file", "sent"),
    [
        ({"RUNSTEAD_ADMIN_TOKEN": "token", "MASTER_PASSWORD": "password"}, True, "Bearer token"),
        ({"MASTER_PASSWORD": "password"}, True, "Bearer from-the-file"),
        ({"MASTER_PASSWORD": "password"}, False, "Bearer password"),
        ({}, True, "Bearer from-the-file"),
        ({}, False, None),
    ],
)
def test_the_credential_is_the_strongest_that_is_to_be_had(
    server: Server, tmp_path: Path, env: dict[str, str], file: bool, sent: str | None
) -> None:
    if file:
        put_token(tmp_path)
    with Client.from_environment(env={**env, "RUNSTEAD_PORT": str(server.port)}, cwd=tmp_path) as client:
        client.get("/x")
    assert server.authorization == sent


def test_a_token_of_dotenv_is_used_and_an_unreadable_token_file_is_not(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "data/admin-token").mkdir(parents=True)
    (tmp_path / ".env").write_text(
        f"MASTER_PASSWORD=from-dotenv\nRUNSTEAD_PORT={server.port}\n", encoding="utf-8"
    )
    with Client.from_environment(env={}, cwd=tmp_path) as client:
        client.get("/x")
    assert server.authorization == "Bearer from-dotenv"


def test_another_host_is_never_told_what_is_in_the_token_file_here(tmp_path: Path) -> None:
    put_token(tmp_path)
    with Client.from_environment(env={"RUNSTEAD_URL": "https://runstead.example"}, cwd=tmp_path) as client:
        assert "authorization" not in client._http.headers
    env = {"RUNSTEAD_URL": "https://runstead.example", "RUNSTEAD_ADMIN_TOKEN": "meant-for-it"}
    with Client.from_environment(env=env, cwd=tmp_path) as client:
        assert client._http.headers["authorization"] == "Bearer meant-for-it"


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"RUNSTEAD_PORT": "x"}, "RUNSTEAD_PORT: server.port: found 'x'"),
        ({"RUNSTEAD_URL": "runstead.example"}, "RUNSTEAD_URL: found 'runstead.example', allowed: http://"),
        ({"RUNSTEAD_URL": "ftp://runstead.example"}, "RUNSTEAD_URL: found"),
        ({"RUNSTEAD_PORT": "0"}, "set RUNSTEAD_URL to what the server printed"),
    ],
)
def test_a_server_that_cannot_be_told_is_an_error_of_usage(
    tmp_path: Path, env: dict[str, str], message: str
) -> None:
    with pytest.raises(CliError, match=message) as caught:
        Client.from_environment(env=env, cwd=tmp_path)
    assert caught.value.exit_code == ExitCode.USAGE


def test_the_server_of_this_folder_is_spoken_to_by_https_when_it_has_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("not a certificate", encoding="utf-8")
    env = {"RUNSTEAD_SERVER_TLS_CERT": "cert.pem", "RUNSTEAD_SERVER_TLS_KEY": "cert.pem"}
    with Client.from_environment(env=env, cwd=tmp_path) as client:
        assert client.base_url == "https://127.0.0.1:8080"


# What goes wrong


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [
        (400, ExitCode.FAILED),
        (401, ExitCode.NOT_ALLOWED),
        (403, ExitCode.NOT_ALLOWED),
        (404, ExitCode.NOT_FOUND),
        (409, ExitCode.FAILED),
        (503, ExitCode.FAILED),
    ],
)
def test_an_error_of_the_server_ends_the_command_with_its_message_and_code(
    server: Server, status: int, exit_code: ExitCode
) -> None:
    error = {"code": "E_SOMETHING", "message": "It is so.", "details": {"field": "x"}}
    server.answer = (status, "application/json", json.dumps({"error": error}).encode())
    with Client(f"http://127.0.0.1:{server.port}") as client, pytest.raises(CliError) as caught:
        client.post("/x", {"a": 1})
    assert str(caught.value) == "It is so. ({'field': 'x'}) [E_SOMETHING]"
    assert caught.value.exit_code == exit_code


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("text/html", b"<html>", "Bad Gateway [502]"),
        ("application/json", b'{"detail": "x"}', '{"detail": "x"} [502]'),
        ("application/json", b"{", "{ [502]"),
    ],
)
def test_an_answer_of_something_else_is_no_traceback(
    server: Server, kind: str, content: bytes, message: str
) -> None:
    server.answer = (502, kind, content)
    with Client(f"http://127.0.0.1:{server.port}") as client, pytest.raises(CliError) as caught:
        client.get("/x")
    assert str(caught.value) == message


def test_no_server_is_exit_code_3_and_says_how_to_start_one(unused_port: int) -> None:
    with Client(f"http://127.0.0.1:{unused_port}") as client:
        with pytest.raises(
            CliError, match=r"no server answers at .* start one with `runstead serve`"
        ) as caught:
            client.get("/x")
        assert caught.value.exit_code == ExitCode.UNREACHABLE
        with pytest.raises(CliError, match="no server answers"):
            next(client.stream("/x"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (httpx.ReadTimeout("slow"), "did not answer in time"),
        (httpx.RemoteProtocolError("cut off"), "broke: cut off"),
        (httpx.ReadError(""), "broke: ReadError"),
    ],
)
def test_a_connection_that_fails_midway_is_exit_code_3(error: httpx.HTTPError, message: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with Client("http://127.0.0.1:1", transport=httpx.MockTransport(fail)) as client:
        with pytest.raises(CliError, match=message) as caught:
            client.get("/x")
        assert caught.value.exit_code == ExitCode.UNREACHABLE


# What is sent and what comes back


def test_each_verb_sends_what_it_says(server: Server) -> None:
    with Client(f"http://127.0.0.1:{server.port}/", token=Secret("t")) as client:
        client.post("/x", {"a": 1})
        client.put(
            "/x",
            content=b"source",
            headers={"Content-Type": "text/javascript"},
            params={"privileged": "true"},
        )
        client.patch("/x", {"b": 2})
        client.delete("/x", force=True)
        client.post("/x")
    sent = [
        (one["method"], one["path"], one["body"], one["headers"]["Content-Type"]) for one in server.requests
    ]
    assert sent == [
        ("POST", "/x", b'{"a":1}', "application/json"),
        ("PUT", "/x?privileged=true", b"source", "text/javascript"),
        ("PATCH", "/x", b'{"b":2}', "application/json"),
        ("DELETE", "/x?force=true", b"", None),
        ("POST", "/x", b"", None),
    ]
    assert server.authorization == "Bearer t"


@pytest.mark.parametrize(
    ("kind", "content", "value"),
    [
        ("application/json", b"", None),
        ("application/problem+json; charset=utf-8", b"[1]", [1]),
        ("text/plain; charset=utf-8", b"text", "text"),
        ("application/x-ndjson", b"1\n2\n", b"1\n2\n"),
        ("application/octet-stream", b"\xff", b"\xff"),
    ],
)
def test_an_answer_is_decoded_by_its_type(server: Server, kind: str, content: bytes, value: object) -> None:
    server.answer = (200, kind, content)
    with Client(f"http://127.0.0.1:{server.port}") as client:
        assert client.get("/x") == value


def test_events_are_followed_until_the_server_ends_them(server: Server) -> None:
    server.answer = (200, "text/event-stream", b": hello\n\nid: 1\nevent: line\ndata: a\n\ndata: b\n\n")
    with Client(f"http://127.0.0.1:{server.port}") as client:
        events = list(client.stream("/logs", last_event_id="0", tail=None))
    assert [(one.event, one.data, one.id) for one in events] == [("line", "a", "1"), ("message", "b", "1")]
    assert server.requests[-1]["headers"]["Last-Event-ID"] == "0"
    assert server.requests[-1]["headers"]["Accept"] == "text/event-stream"
    assert server.requests[-1]["path"] == "/logs"


def test_a_refused_stream_has_the_message_of_the_server(server: Server) -> None:
    server.answer = (
        404,
        "application/json",
        b'{"error": {"code": "E_NOT_FOUND", "message": "No such job."}}',
    )
    with (
        Client(f"http://127.0.0.1:{server.port}") as client,
        pytest.raises(CliError, match=r"No such job\. \[E_NOT_FOUND\]"),
    ):
        next(client.stream("/logs"))


@pytest.mark.parametrize(
    ("text", "escaped"), [("a", "a"), ("a/b", "a%2Fb"), ("ä ?#%", "%C3%A4%20%3F%23%25"), ("..", "..")]
)
def test_a_value_becomes_one_segment_of_a_path(text: str, escaped: str) -> None:
    assert segment(text) == escaped
