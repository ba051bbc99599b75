# ruff: noqa: E501 - a table
"""Requests that leave the server, against a real one that misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from runstead.platform.egress import (
    Egress,
    EgressError,
    EgressRefusedError,
    EgressTimeoutError,
    EgressTooLargeError,
    Outgoing,
)

PUBLIC = "93.184.216.34"


class Others:
    """Somebody else's server; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.failures = 0
        others = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                others.asked.append((self.command, self.path, headers, body))
                others.respond(self)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815

            def log_message(self, *_args: Any) -> None:
                """Quietly."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def respond(self, to: BaseHTTPRequestHandler) -> None:
        path, _, query = to.path.partition("?")
        status, headers, body = 200, {}, b"hello"
        if path == "/redirect":
            status, headers = int(query[:3]), {"Location": query[4:]}
        elif path == "/large":
            body = b"x" * 2_000_000
        elif path == "/bomb":
            body, headers = gzip.compress(bytes(200_000_000)), {"Content-Encoding": "gzip"}
        elif path == "/packed":
            body, headers = gzip.compress(b"unpacked"), {"Content-Encoding": "gzip"}
        elif path == "/slow":
            time.sleep(1)
        elif path == "/fails" and self.failures > 0:
            self.failures -= 1
            status = 503
        to.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            to.send_header(name, value)
        to.end_headers()
        if to.command != "HEAD":
            try:
                to.wfile.write(body)
            except OSError:
                return


@pytest.fixture
def others() -> Iterator[Others]:
    one = Others()
    thread = threading.Thread(target=one.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()
    thread.join()


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """Lets this machine through, as an operator may."""
    async with Egress(allow=["127.0.0.0/8"], answer_bytes_max=1_000_000) as one:
        yield one


SSRF = [
    "http://127.0.0.1/", "http://127.1/", "http://0/", "http://0.0.0.0/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/",
    "http://017700000001/", "http://0177.0.0.1/", "http://localhost/", "http://localhost./", "http://LOCALHOST/", "http://[::1]/", "http://[::]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/", "http://[fe80::1]/", "http://[fd00::1]/", "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/",
    "http://169.254.169.254/latest/meta-data/", "http://169.254.169.254./", "http://2852039166/", "http://100.64.0.1/", "http://198.18.0.1/",
    "http://224.0.0.1/", "http://255.255.255.255/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://user:password@1.1.1.1/",
    "http://1.1.1.1@127.0.0.1/", "http://127.0.0.1#@1.1.1.1/", "http://127.0.0.1\\@1.1.1.1/", "ftp://1.1.1.1/", "file:///etc/passwd",
    "gopher://1.1.1.1/", "data:text/plain,x", "javascript:alert(1)", "http:///etc/passwd", "http://", "//1.1.1.1/", "/etc/passwd", "",
    "http://[::1", "http://" + "a" * 9000 + ".example/", "https://127.0.0.1:443/", "http://127.0.0.1:22/", "dict://127.0.0.1:11211/",
]  # fmt: skip


@pytest.mark.req("SEC-001")
@pytest.mark.parametrize("url", SSRF)
async def test_nobody_is_led_to_this_machine_or_its_neighbours(url: str) -> None:
    async with Egress() as egress:
        with pytest.raises(EgressRefusedError):
            await egress.send(Outgoing(url=url))


@pytest.mark.req("SEC-001")
@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::1", PUBLIC], ["169.254.169.254"]]
)
async def test_a_name_with_any_address_that_is_not_public_is_refused(addresses: Sequence[str]) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    async with Egress(resolve=resolve) as egress:
        with pytest.raises(EgressRefusedError, match="not public"):
            await egress.send(Outgoing(url="http://innocent.example/"))


@pytest.mark.req("SEC-001")
async def test_a_name_cannot_change_between_the_check_and_the_connection(others: Others) -> None:
    """DNS rebinding: the name is resolved once, and the connection goes to what was checked."""
    answers = iter([["127.0.0.2"], ["127.0.0.1"]])
    asked = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    async with Egress(resolve=resolve, allow=["127.0.0.2/32"]) as egress:
        # Nobody listens on 127.0.0.2: had it been resolved again, somebody would have answered on 127.0.0.1.
        with pytest.raises(EgressError, match="cannot be reached"):
            await egress.send(Outgoing(url=f"http://rebind.example:{others.port}/"))
    assert asked == ["rebind.example"]
    assert others.asked == []


@pytest.mark.req("SEC-001")
@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://[::1]/",
        "file:///etc/passwd",
        "ftp://1.1.1.1/",
        "//10.0.0.1/",
    ],
)
async def test_a_redirect_is_checked_like_a_first_address(
    others: Others, egress: Egress, target: str
) -> None:
    with pytest.raises(EgressRefusedError):
        await egress.send(Outgoing(url=f"{others.url}/redirect?302={target}"))
    assert len(others.asked) == 1


async def test_what_is_sent_and_what_comes_back(others: Others, egress: Egress) -> None:
    headers = [
        ("X-One", "1"),
        ("Host", "evil.example"),
        ("Content-Length", "999"),
        ("Transfer-Encoding", "chunked"),
    ]
    answer = await egress.send(
        Outgoing(method="post", url=f"{others.url}/path?q=1#part", headers=headers, body=b"body")
    )
    assert (answer.status, answer.body, answer.redirected) == (200, b"hello", False)
    method, path, sent, body = others.asked[0]
    assert (method, path, body) == ("POST", "/path?q=1", b"body")
    assert sent["x-one"] == "1"
    assert sent["host"] == f"127.0.0.1:{others.port}"
    packed = await egress.send(Outgoing(url=f"{others.url}/packed"))
    assert packed.body == b"unpacked"
    assert "content-encoding" not in dict(packed.headers)


async def test_redirects_are_followed_as_browsers_do(others: Others, egress: Egress) -> None:
    for status, method, body in (
        (303, "GET", b""),
        (302, "GET", b""),
        (307, "POST", b"body"),
        (308, "POST", b"body"),
    ):
        others.asked.clear()
        answer = await egress.send(
            Outgoing(method="POST", url=f"{others.url}/redirect?{status}=/there", body=b"body")
        )
        assert (answer.redirected, answer.url) == (True, f"{others.url}/there")
        assert (others.asked[1][0], others.asked[1][3]) == (method, body), status
    manual = await egress.send(Outgoing(url=f"{others.url}/redirect?302=/there", redirect="manual"))
    assert manual.status == 302
    with pytest.raises(EgressRefusedError, match="redirects"):
        await egress.send(Outgoing(url=f"{others.url}/redirect?302=/there", redirect="error"))
    with pytest.raises(EgressError, match="more than 5"):
        await egress.send(Outgoing(url=f"{others.url}/redirect?302=/redirect?302=" * 9))


async def test_credentials_stay_with_their_host(others: Others, egress: Egress) -> None:
    elsewhere = f"http://127.0.0.3:{others.port}/there"
    headers = [("Authorization", "Bearer x"), ("Cookie", "a=b"), ("X-Api-Key", "key"), ("X-Plain", "1")]
    outgoing = Outgoing(
        url=f"{others.url}/redirect?302=/there", headers=headers, secret_headers=frozenset({"x-api-key"})
    )
    await egress.send(outgoing)
    assert others.asked[1][2].keys() >= {"authorization", "cookie", "x-api-key", "x-plain"}
    others.asked.clear()
    with pytest.raises(EgressError, match="cannot be reached"):
        # Nobody listens there; what matters is what would have been sent.
        await egress.send(Outgoing(url=f"{others.url}/redirect?302={elsewhere}", headers=headers))
    local = f"http://localhost:{others.port}/there"
    await egress.send(
        Outgoing(
            url=f"{others.url}/redirect?302={local}", headers=headers, secret_headers=frozenset({"x-api-key"})
        )
    )
    sent = others.asked[-1][2]
    assert sent["x-plain"] == "1"
    assert not sent.keys() & {"authorization", "cookie", "x-api-key"}


async def test_time_and_size_are_bounded(others: Others, egress: Egress) -> None:
    with pytest.raises(EgressTimeoutError, match=r"0\.1 s"):
        await egress.send(Outgoing(url=f"{others.url}/slow", seconds=0.1))
    for path in ("/large", "/bomb"):
        with pytest.raises(EgressTooLargeError):
            await egress.send(Outgoing(url=others.url + path))
    with pytest.raises(EgressRefusedError, match="body"):
        await egress.send(Outgoing(method="POST", url=others.url, body=b"x" * 6_000_000))
    with pytest.raises(EgressRefusedError, match="method"):
        await egress.send(Outgoing(method="CONNECT", url=others.url))
    for header in (("X", "a\r\nY: b"), ("X\n", "a")):
        with pytest.raises(EgressRefusedError, match="line break"):
            await egress.send(Outgoing(url=others.url, headers=[header]))


async def test_only_what_may_be_sent_again_is(others: Others, egress: Egress) -> None:
    others.failures = 2
    assert (await egress.send(Outgoing(url=f"{others.url}/fails", retries=3))).status == 200
    assert len(others.asked) == 3
    others.asked.clear()
    others.failures = 2
    assert (await egress.send(Outgoing(method="POST", url=f"{others.url}/fails", retries=3))).status == 503
    assert len(others.asked) == 1


async def test_many_at_once(others: Others, egress: Egress) -> None:
    answers = await asyncio.gather(
        *(egress.send(Outgoing(url=f"{others.url}/{number}")) for number in range(50))
    )
    assert {one.status for one in answers} == {200}
    assert len(others.asked) == 50
