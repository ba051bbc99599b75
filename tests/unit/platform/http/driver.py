"""Calls an ASGI application message by message, where an HTTP client would wait for the whole answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from runstead.kernel.capability import ASGIApp


class Conversation:
    """One request. ``sent`` is what the application sent so far."""

    def __init__(
        self,
        app: ASGIApp,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Iterable[bytes] = (),
        scope: Mapping[str, Any] | None = None,
    ) -> None:
        self.sent: list[dict[str, Any]] = []
        self.arrived = asyncio.Event()
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        chunks = list(body) or [b""]
        for number, chunk in enumerate(chunks, start=1):
            more = number < len(chunks)
            self._inbox.put_nowait({"type": "http.request", "body": chunk, "more_body": more})
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            **(scope or {}),
        }
        self.task = asyncio.create_task(self._run(app))

    async def _run(self, app: ASGIApp) -> None:
        await app(self.scope, self._inbox.get, self._send)

    async def _send(self, message: Any) -> None:
        # A server writes the message out: what the application does to it later must not show.
        self.sent.append(dict(message))
        self.arrived.set()
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        """The client goes away."""
        self._inbox.put_nowait({"type": "http.disconnect"})

    async def until(self, text: bytes) -> None:
        """Wait until the body holds this."""
        while text not in self.body:
            self.arrived.clear()
            waiting = asyncio.create_task(self.arrived.wait())
            await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                assert text in self.body, f"the answer ended without {text!r}"

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def complete(self) -> bool:
        """Whether the end of the body was sent."""
        return len(self.sent) > 1 and not self.sent[-1].get("more_body", False)
