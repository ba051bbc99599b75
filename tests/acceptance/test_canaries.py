"""Secret hunting: secrets are planted in every place that takes one, the server is used and misused with them, and then they are
looked for wherever it writes, answers or shows itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pyotp
import pytest
from tests.acceptance.house import EXAMPLES

from runstead.testing.files import content_of
from runstead.testing.server import ServerProcess

#: Files of the data folder that hold a secret because that is what they are for; only their owner can read them.
KEYRINGS = {"admin-token", "master-key"}


def canary(name: str) -> str:
    return f"canary-{name}-{secrets.token_hex(12)}"


class Collector:
    """Takes traces, and keeps their bytes."""

    def __init__(self) -> None:
        self.received = b""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.received += self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Quietly."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    thread = threading.Thread(target=one.server.serve_forever)
    thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()
    thread.join()


class Hunt:
    """Plants secrets, and remembers each answer."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.planted: dict[str, str] = {}
        self.answers: list[tuple[str, str]] = []

    def client(self, **headers: str) -> httpx.Client:
        def keep(answer: httpx.Response) -> None:
            answer.read()
            if "once" not in answer.request.extensions:
                told = f"{answer.headers.multi_items()}\n{answer.text}"
                self.answers.append((f"{answer.request.method} {answer.request.url.path}", told))

        return httpx.Client(
            base_url=self.server.url, headers=headers, event_hooks={"response": [keep]}, timeout=60
        )

    def plant(self, name: str, value: str = "") -> str:
        self.planted[name] = value or canary(name)
        return self.planted[name]


#: An answer that shows a secret to whoever has just made it.
ONCE: dict[str, Any] = {"extensions": {"once": True}}


def people(hunt: Hunt, root: httpx.Client) -> httpx.Client:
    """Somebody with a password, a session, a token, one-time codes and recovery codes."""
    password = hunt.plant("password", f"violet-{secrets.token_hex(8)}-Kettle")
    user = root.post("/api/users", json={"name": "ada", "roles": ["administrator"]}).json()
    link = root.post(f"/api/users/{user['id']}/reset", **ONCE).json()["url"].partition("=")[2]
    hunt.plant("link", link.partition(".")[2])
    browser = hunt.client(**{"User-Agent": "Firefox/140"})
    assert browser.post("/auth/reset", json={"link": link, "password": password}).status_code == 204
    signed_in = browser.post("/auth/login", json={"name": "ada", "password": password}, **ONCE)
    assert signed_in.status_code == 200
    for cookie in ("runstead", "runstead-csrf", "runstead-device"):
        hunt.plant(cookie, signed_in.cookies[cookie])
    browser.headers["X-CSRF-Token"] = signed_in.cookies["runstead-csrf"]
    hunt.plant("token", browser.post("/api/tokens", json={"name": "program"}, **ONCE).json()["token"][21:])
    offer = browser.post("/auth/factors/totp", **ONCE).json()
    hunt.plant("totp", offer["secret"])
    proof = {"state": offer["state"], "code": pyotp.TOTP(offer["secret"]).now()}
    for number, code in enumerate(
        browser.put("/auth/factors/totp", json=proof, **ONCE).json()["recovery_codes"]
    ):
        hunt.plant(f"recovery-{number}", code)
    return browser


def vault(hunt: Hunt, browser: httpx.Client) -> None:
    path = "/editor/api/secrets"
    for name in ("stripe", "smtp"):
        made = browser.post(path, json={"id": name, "value": hunt.plant(f"vault-{name}"), "description": "x"})
        assert made.status_code == 201
    changed = browser.put(f"{path}/stripe", json={"value": hunt.plant("vault-second-version")})
    assert changed.status_code == 200
    # Misuse: the value where something else belongs.
    value = hunt.planted["vault-stripe"]
    browser.get(f"{path}/{value}")
    browser.post(path, json={"id": value + "/", "value": "x"})
    browser.post(path, json={"id": "smtp", "value": value, "unknown": value})
    browser.post(path, content=b'{"value": "' + value.encode())
    browser.post(f"{path}/rotate-master-key")


def logs(hunt: Hunt, root: httpx.Client) -> None:
    project = root.post("/admin/projects", json={"slug": "shop", "name": "Shop"}, **ONCE).json()
    secret = hunt.plant("hmac", project["hmac_secret"])
    body = json.dumps(
        {"events": [{"level": "error", "message": f"the vault says {hunt.planted['vault-stripe']}"}]}
    ).encode()
    stamp = str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Project-Key": project["project_key"], "X-Timestamp": stamp, "X-Signature": signature}
    root.post("/api/log", content=body, headers={**headers, "Content-Type": "application/json"})


def programs(hunt: Hunt, root: httpx.Client) -> None:
    """What the server runs sees nothing of its secrets, and what it prints stands in many places."""
    job = root.post("/api/scripts", json={"command": "env"}).json()["id"]
    with root.stream("GET", f"/api/scripts/{job}/logs") as stream:
        for line in stream.iter_lines():
            if "finished" in line or "end" in line or "exit" in line:
                break
    root.post("/wordcount", json={"params": {"text": "a b"}})
    root.post("/api/endpoints/wordcount/try", json={"params": {"text": hunt.planted["vault-smtp"]}})
    look_around = "function f() { return Response.json(Object.getOwnPropertyNames(globalThis)); }"
    source = f"{look_around} function init() {{ register('/look', 'f', 'GET'); }}"
    root.put("/api/apps/look", content=source.encode(), params={"privileged": "true"})
    root.get("/look")


def wrong_doors(hunt: Hunt) -> None:
    """Each secret as a credential that it is not. Those that the server has in clear also in addresses and request ids, which
    are logged: it knows them there. A password that somebody types into an address it cannot know."""
    for name, value in list(hunt.planted.items()):
        stranger = hunt.client()
        places = [
            {"Authorization": f"Bearer {value}x"},
            {"Cookie": f"other={value}"},
            {"Origin": value},
            {"User-Agent": value},
        ]
        for headers in places:
            stranger.get("/api/users", headers=headers)
        stranger.post("/auth/login", json={"name": value, "password": value})
        if name in ("admin-token", "master-password") or name.startswith("vault-"):
            stranger.get("/api/users", headers={"X-Request-ID": value})
            stranger.get(f"/nothing/{quote(value, safe='')}", params={"token": value})
        stranger.close()


def forms(value: str) -> set[bytes]:
    """The value as it may stand somewhere."""
    plain = value.encode()
    found = {plain, plain.hex().encode(), quote(value, safe="").encode(), json.dumps(value)[1:-1].encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            # Without the characters at the ends that depend on what stands around.
            found.add(encode(b"\0" * offset + plain).rstrip(b"=")[4 if offset else 0 : -3])
    return found


def look(hunt: Hunt, where: str, content: bytes, *, but: set[str] = frozenset()) -> Iterator[str]:  # type: ignore[assignment]
    for name, value in hunt.planted.items():
        if name not in but and any(form in content for form in forms(value)):
            yield f"{name} in {where}"


def processes(pid: int) -> Iterator[tuple[str, bytes]]:
    """The arguments of a process and of all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
            except OSError:
                continue
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        try:
            yield f"arguments of {one}", Path(f"/proc/{one}/cmdline").read_bytes()
        except OSError:
            continue


@pytest.mark.req("EP-007")
@pytest.mark.req("SEC-005")
@pytest.mark.req("SEC-010")
@pytest.mark.timeout(180)
def test_no_secret_is_found_anywhere(
    start_server: Callable[..., ServerProcess], collector: Collector
) -> None:
    password, in_environment = canary("master-password"), canary("environment")
    server = start_server(
        EXAMPLES
        + '\n[observability]\nlog_level = "debug"\nlog_file = "server.log"\n[identity]\nlockout_attempts = 1000000\n',
        environment={
            "MASTER_PASSWORD": password,
            "SOME_VARIABLE": in_environment,
            "RUNSTEAD_OBSERVABILITY_OTLP_ENDPOINT": collector.url,
        },
    )
    hunt = Hunt(server)
    hunt.plant("admin-token", server.admin_token)
    hunt.plant("master-password", password)
    hunt.plant("environment", in_environment)
    with hunt.client(**server.headers) as root:
        browser = people(hunt, root)
        vault(hunt, browser)
        logs(hunt, root)
        programs(hunt, root)
        wrong_doors(hunt)
        for path in (
            "/api/audit",
            "/api/audit/export",
            "/api/users",
            "/config",
            "/health",
            "/metrics",
            "/openapi.json",
            "/api/log",
            "/api/scripts",
            "/auth/sessions",
            "/api/limits",
        ):
            root.get(path)
            browser.get(path)
        running = [found for where, content in processes(server.pid) for found in look(hunt, where, content)]
        browser.close()
    assert server.stop() == 0

    found = running
    for where, told in hunt.answers:
        # What was asked for is told back: an id in a path, the present session to its owner.
        found += look(hunt, f"the answer to {where}", told.encode())
    found += look(hunt, "what the server printed", server.output.encode())
    assert collector.received, "traces were sent"
    found += look(hunt, "the traces", collector.received)
    count = 0
    for file in server.folder.rglob("*"):
        if file.is_file() and file.name not in KEYRINGS:
            count += 1
            found += look(hunt, str(file.relative_to(server.folder)), content_of(file))
    assert count > 5
    assert (server.folder / "server.log").stat().st_size > 1000
    assert not found, "\n".join(sorted(set(found)))


def test_the_hunter_finds_what_is_there() -> None:
    hunt = Hunt(ServerProcess(Path(os.devnull).parent / "shm" / "never-started"))
    value = hunt.plant("one")
    for hidden in (
        value,
        value.encode().hex(),
        base64.b64encode(b"ab" + value.encode() + b"c").decode(),
        quote(value),
    ):
        assert list(look(hunt, "here", f"before {hidden} after".encode())) == ["one in here"]
    assert list(look(hunt, "here", b"nothing")) == []
