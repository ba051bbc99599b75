"""The client."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from runstead.kernel.limits import MIB
from runstead.platform.egress.addresses import networks_of, refusal
from runstead.platform.egress.errors import (
    EgressError,
    EgressRefusedError,
    EgressTimeoutError,
    EgressTooLargeError,
)

if TYPE_CHECKING:
    import httpx

SECONDS_MAX: Final = 10.0
ANSWER_BYTES_MAX: Final = 5 * MIB
BODY_BYTES_MAX: Final = 5 * MIB
URL_CHARS_MAX: Final = 8192
REDIRECTS_MAX: Final = 5
RETRIES_MAX: Final = 5
#: Seconds before the first retry; doubled each time, with jitter, up to the maximum.
BACK_OFF_SECONDS: Final = 0.1
BACK_OFF_SECONDS_MAX: Final = 2.0
#: Hosts whose connections are kept.
CLIENTS_MAX: Final = 64

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: RFC 9110, section 9.2.2: what may be sent again.
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_WORTH_ANOTHER_TRY: Final = frozenset({502, 503, 504})
#: Framing and routing are the client's business.
_OURS: Final = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "proxy-authorization",
    }
)
#: What must not follow a redirect to somebody else (Fetch standard, HTTP-redirect fetch).
_PERSONAL: Final = frozenset({"authorization", "cookie"})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request."""

    method: str = "GET"
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    seconds: float = SECONDS_MAX
    redirect: Literal["follow", "manual", "error"] = "follow"
    #: Tries after the first one, of what may be sent again.
    retries: int = 0
    #: Names of headers that hold secrets: they stay with the host that they are for.
    secret_headers: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. ``url`` is the one that answered."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes
    url: str
    redirected: bool


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Egress:
    """Asks others.

    Against forged requests by way of the server (SSRF): a name is resolved once, every address it has must be allowed, and the
    connection goes to the very address that was checked, so that a name cannot change in between; so it is again with each
    redirect. No proxy of the environment is used.
    """

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        resolve: Resolve = _resolve,
        trust: ssl.SSLContext | None = None,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        """Build it.

        :param allow: addresses and networks that may be asked although they are not public.
        :param trust: which certificates are taken; default: those of the system's authorities.
        """
        self._allowed = networks_of(allow)
        self._resolve = resolve
        self._trust = trust
        self._bytes_max = answer_bytes_max
        self._clients: OrderedDict[tuple[str, str, int], httpx.AsyncClient] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._clients:
            await self._clients.popitem()[1].aclose()

    async def send(self, outgoing: Outgoing) -> Answer:
        """Send a request, with its retries and redirects, within its time.

        :raises EgressRefusedError: it may not be sent, or not there.
        :raises EgressTimeoutError: there was no whole answer in time.
        :raises EgressTooLargeError: the answer is too large.
        :raises EgressError: the other side cannot be reached.
        """
        method = outgoing.method.upper()
        if method not in METHODS:
            raise EgressRefusedError(f"the method {outgoing.method[:32]!r} cannot be sent")
        if len(outgoing.body) > BODY_BYTES_MAX:
            raise EgressRefusedError(f"the body has more than {BODY_BYTES_MAX} bytes")
        headers = _checked(outgoing.headers)
        tries = 1 + (min(outgoing.retries, RETRIES_MAX) if method in _IDEMPOTENT else 0)
        try:
            async with asyncio.timeout(max(0.001, min(outgoing.seconds, 60.0))):
                for left in reversed(range(tries)):
                    try:
                        answer = await self._follow(method, outgoing, headers)
                        if answer.status not in _WORTH_ANOTHER_TRY or not left:
                            return answer
                        wait = _retry_after(answer)
                    except EgressRefusedError:
                        raise
                    except EgressError:
                        if not left:
                            raise
                        wait = 0.0
                    backed_off = BACK_OFF_SECONDS * 2 ** (tries - left - 1) * random.uniform(0.5, 1.5)  # noqa: S311
                    await asyncio.sleep(max(wait, min(backed_off, BACK_OFF_SECONDS_MAX)))
        except TimeoutError:
            raise EgressTimeoutError(f"no answer within {outgoing.seconds:g} s") from None
        raise AssertionError("the last try returns or raises")

    async def _follow(self, method: str, outgoing: Outgoing, headers: list[tuple[str, str]]) -> Answer:
        url, body = _parsed(outgoing.url), outgoing.body
        origin = _origin(url)
        for hop in range(REDIRECTS_MAX + 1):
            answer = await self._ask(method, url, headers, body, redirected=hop > 0)
            location = dict(answer.headers).get("location")
            if (
                outgoing.redirect == "manual"
                or answer.status not in (301, 302, 303, 307, 308)
                or not location
            ):
                return answer
            if outgoing.redirect == "error":
                raise EgressRefusedError("the other side redirects, and this was not to be followed")
            url = _parsed(str(url.join(location)))
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), b""
                headers = [one for one in headers if not one[0].startswith("content-")]
            if _origin(url) != origin:
                personal = _PERSONAL | outgoing.secret_headers
                headers = [one for one in headers if one[0] not in personal]
        raise EgressError(f"more than {REDIRECTS_MAX} redirects")

    async def _ask(
        self, method: str, url: httpx.URL, headers: list[tuple[str, str]], body: bytes, *, redirected: bool
    ) -> Answer:
        # Loaded with the first request: 4 MB of an idle server.
        import httpx

        scheme, host, port = _origin(url)
        address = await self._address_of(host, port)
        pinned = url.copy_with(host=address, port=port)
        request = httpx.Request(
            method,
            pinned,
            headers=[("host", url.netloc.decode("ascii")), ("accept-encoding", "gzip, deflate"), *headers],
            content=body or None,
            # The name that the certificate must have.
            extensions={"sni_hostname": host} if scheme == "https" else {},
        )
        try:
            response = await self._client(scheme, host, port).send(request, stream=True)
            try:
                content = await self._read(response)
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise EgressTimeoutError(f"{host} does not answer") from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise EgressError(f"{host} cannot be reached: {_said(error)}") from error
        # The body is unpacked: what spoke of its packed form is no longer true.
        shown = [
            one
            for one in response.headers.multi_items()
            if one[0] not in ("content-encoding", "content-length")
        ]
        return Answer(
            status=response.status_code, headers=shown, body=content, url=str(url), redirected=redirected
        )

    async def _read(self, response: httpx.Response) -> bytes:
        """Unpacked, and bounded while it is being unpacked."""
        content = bytearray()
        async for piece in response.aiter_bytes(64 * 1024):
            content += piece
            if len(content) > self._bytes_max:
                raise EgressTooLargeError(f"the answer has more than {self._bytes_max} bytes")
        return bytes(content)

    async def _address_of(self, host: str, port: int) -> str:
        """The address to connect to: the first one, if all may be asked."""
        literal = _literal(host)
        if literal is not None:
            found: Sequence[str] = [literal]
        else:
            try:
                found = await self._resolve(host, port)
            except OSError as error:
                raise EgressError(f"{host} cannot be resolved") from error
        if not found:
            raise EgressError(f"{host} cannot be resolved")
        for address in found:
            if (reason := refusal(address, self._allowed)) is not None:
                raise EgressRefusedError(f"{host} is not to be asked: {reason}")
        return found[0].partition("%")[0]

    def _client(self, scheme: str, host: str, port: int) -> httpx.AsyncClient:
        """One for each host: a connection that was made for one name must not serve another on the same address."""
        import httpx

        key = (scheme, host, port)
        client = self._clients.get(key)
        if client is None:
            options: dict[str, Any] = {} if self._trust is None else {"verify": self._trust}
            client = self._clients[key] = httpx.AsyncClient(trust_env=False, timeout=SECONDS_MAX, **options)
            while len(self._clients) > CLIENTS_MAX:
                _, oldest = self._clients.popitem(last=False)
                # Requests of its that are under way end with it; it was the one unused for longest of many.
                task = asyncio.get_running_loop().create_task(oldest.aclose())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        self._clients.move_to_end(key)
        return client


def _parsed(text: str) -> httpx.URL:
    if len(text) > URL_CHARS_MAX:
        raise EgressRefusedError(f"the address has more than {URL_CHARS_MAX} characters")
    import httpx

    try:
        url = httpx.URL(text)
        url.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise EgressRefusedError(f"{text[:200]!r} is no address") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise EgressRefusedError(f"{text[:200]!r}: http or https with a host name is needed")
    if url.userinfo:
        raise EgressRefusedError("an address with a password in it is not asked: use a header")
    return url.copy_with(fragment=None)


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    return url.scheme, host, url.port or (443 if url.scheme == "https" else 80)


def _literal(host: str) -> str | None:
    """The address that a host is, also in the spellings that resolvers take: 127.1, 0x7f000001, 017700000001."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None


def _checked(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    checked = []
    for name, value in headers:
        if any(char in "\r\n\0" for char in name + value):
            raise EgressRefusedError("a header holds a line break")
        if name.lower() not in _OURS:
            checked.append((name.lower(), value))
    return checked


def _retry_after(answer: Answer) -> float:
    text = dict(answer.headers).get("retry-after", "")
    return float(text) if text.isdigit() and len(text) < 6 else 0.0


def _said(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:200]
