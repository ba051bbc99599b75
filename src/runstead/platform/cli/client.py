"""The HTTP client of the commands: finds the server and a credential for it, and turns what goes wrong into exit codes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlsplit

from runstead.kernel.secret import Secret
from runstead.platform.cli.errors import CliError, ExitCode
from runstead.platform.cli.sse import SseMessage, parse_sse

if TYPE_CHECKING:
    import ssl

    import httpx

    from runstead.platform.config import Settings

#: An answer may take this long; whoever waits longer asks for a stream.
TIMEOUT_SECONDS_DEFAULT: Final = 30.0

#: Streams have a heartbeat every 15 s; silence for four of them means that the server is gone.
STREAM_SILENCE_SECONDS_MAX: Final = 60.0

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class Client:
    """A connection to a running server, as a context manager.

    Methods return the decoded JSON (or text) of a good answer.

    :raises CliError: 3 when no server answers, 4 when the credential is missing or does not allow it, 5 when there is
        no such thing, else 1.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: Secret | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        verify: ssl.SSLContext | bool = True,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        # Here, since importing it takes longer than most commands that need no server.
        import httpx

        self.base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        host = urlsplit(self.base_url).hostname or ""
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {token.reveal()}"} if token else {},
            timeout=timeout_seconds,
            verify=verify,
            # A proxy of the environment has nothing to do with a server on this machine.
            trust_env=host not in _LOOPBACK,
            transport=transport,
        )

    @classmethod
    def from_environment(
        cls,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
    ) -> Self:
        """The server of ``RUNSTEAD_URL``, else the one that the configuration here describes.

        The credential is ``RUNSTEAD_ADMIN_TOKEN``, else (for a server on this machine) the token file in the data folder, else
        ``MASTER_PASSWORD``.
        """
        from runstead.platform.config import ConfigError, load_platform

        env = os.environ if env is None else env
        try:
            settings = load_platform(env=env, cwd=cwd or Path.cwd())
        except ConfigError as error:
            raise CliError(str(error), exit_code=ExitCode.USAGE) from error
        url = env.get("RUNSTEAD_URL", "") or server_url(settings)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CliError(
                f"RUNSTEAD_URL: found {url!r}, allowed: http://host:port or https://host",
                exit_code=ExitCode.USAGE,
            )
        is_local = parts.hostname in _LOOPBACK
        return cls(
            url,
            token=_credential(settings, is_local=is_local),
            timeout_seconds=timeout_seconds,
            verify=trust(settings, url) if is_local else True,
        )

    @property
    def http(self) -> httpx.Client:
        """The client below, with its credential: for answers that need a closer look."""
        return self._http

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """Ask for something. Parameters that are None are left out."""
        return self.request("GET", path, params=params)

    def post(self, path: str, json: Any = None, **options: Any) -> Any:
        """Send JSON; for the options see :meth:`request`."""
        return self.request("POST", path, json=json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> Any:
        """Send JSON, or bytes with ``content=``; for the options see :meth:`request`."""
        return self.request("PUT", path, json=json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> Any:
        """Send JSON; for the options see :meth:`request`."""
        return self.request("PATCH", path, json=json, **options)

    def delete(self, path: str, **params: Any) -> Any:
        """Remove something."""
        return self.request("DELETE", path, params=params)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        files: Sequence[tuple[str, tuple[str, bytes]]] | None = None,
    ) -> Any:
        """Send any request and decode the answer; bytes where it is neither JSON nor text."""
        import httpx

        bodies = {"json": json, "content": content, "files": files}
        options: dict[str, Any] = {name: body for name, body in bodies.items() if body is not None}
        try:
            response = self._http.request(
                method,
                path,
                params=_given(params),
                headers=headers,
                **options,
            )
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return _decoded(response)

    def stream(self, path: str, *, last_event_id: str = "", **params: Any) -> Iterator[SseMessage]:
        """Follow server-sent events until the server ends the stream."""
        import httpx

        headers = {"Accept": "text/event-stream"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        timeout = httpx.Timeout(self._timeout_seconds, read=STREAM_SILENCE_SECONDS_MAX)
        try:
            with self._http.stream(
                "GET", path, params=_given(params), headers=headers, timeout=timeout
            ) as response:
                if response.is_error:
                    response.read()
                    _decoded(response)
                yield from parse_sse(response.iter_lines())
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> CliError:
        import httpx

        if isinstance(error, httpx.ConnectError):
            message = (
                f"no server answers at {self.base_url}; start one with `runstead serve`, or set RUNSTEAD_URL"
            )
        elif isinstance(error, httpx.TimeoutException):
            message = f"the server at {self.base_url} did not answer in time"
        else:
            message = f"the connection to {self.base_url} broke: {str(error) or type(error).__name__}"
        return CliError(message, exit_code=ExitCode.UNREACHABLE)


def segment(text: str) -> str:
    """A value as one segment of a URL's path."""
    return quote(text, safe="")


def server_url(settings: Settings) -> str:
    """Where the server of a configuration answers, seen from this machine."""
    server = settings.server
    if server.port == 0:
        raise CliError(
            "the configured port is 0, so set RUNSTEAD_URL to what the server printed",
            exit_code=ExitCode.USAGE,
        )
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104  # every address includes this one
    scheme = "https" if server.tls_cert else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}"


def _credential(settings: Settings, *, is_local: bool) -> Secret | None:
    if settings.credentials.admin_token is not None:
        return settings.credentials.admin_token
    # The file belongs to the server of this folder; no other host is told what is in it.
    if is_local:
        try:
            if text := (settings.storage.data_dir / "admin-token").read_text("ascii").strip():
                return Secret(text)
        except (OSError, UnicodeDecodeError):
            pass  # Not started yet, or not ours to read: the password may do.
    return settings.credentials.master_password


def trust(settings: Settings, url: str) -> ssl.SSLContext | bool:
    """Our own server's certificate is trusted for what it is, whoever signed it and whatever name it carries."""
    if not url.startswith("https://") or settings.server.tls_cert is None:
        return True
    import ssl

    try:
        context = ssl.create_default_context(cafile=str(settings.server.tls_cert))
    except OSError:
        return True
    context.check_hostname = False
    return context


def _given(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _decoded(response: httpx.Response) -> Any:
    kind = response.headers.get("content-type", "")
    is_json = "json" in kind and "ndjson" not in kind
    if response.is_success:
        if is_json:
            return response.json() if response.content else None
        return response.text if kind.startswith("text/") else response.content
    code, message = "", response.reason_phrase
    if is_json:
        try:
            error = response.json()["error"]
            code, message = error["code"], error["message"]
            if error.get("details") is not None:
                message += f" ({error['details']})"
        except (ValueError, KeyError, TypeError):
            message = response.text[:500]
    status = response.status_code
    exit_code = {401: ExitCode.NOT_ALLOWED, 403: ExitCode.NOT_ALLOWED, 404: ExitCode.NOT_FOUND}.get(
        status, ExitCode.FAILED
    )
    raise CliError(f"{message} [{code or status}]", exit_code=exit_code)
