"""A process that serves a few odd routes with the real ``serve``: what the tests of the engines talk to.

``python service.py '{"engine": "granian", …}'`` prints ``ready URL`` and then one line for each thing worth knowing.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from runstead.kernel.capability import ASGIApp, Capability
from runstead.platform.config.settings import ObservabilitySettings, ServerSettings
from runstead.platform.http import (
    SseEvent,
    build_app,
    engine_granian,
    json_response,
    read_body,
    serve,
    sse,
    stream,
)
from runstead.platform.http.middleware import body_limit
from runstead.platform.identity import Identity
from runstead.platform.observability import Health, Metrics, Redactor, configure_logging


def note(text: str) -> None:
    print(text, flush=True)  # noqa: T201


async def slow(scope: Any, receive: Any, send: Any) -> None:
    note("slow began")
    try:
        await asyncio.sleep(float(scope["query_string"] or 1))
    except asyncio.CancelledError:
        note("slow cut")
        raise
    await json_response(200, {"slow": True})(scope, receive, send)


async def events(scope: Any, receive: Any, send: Any) -> None:
    async def count() -> AsyncIterator[SseEvent]:
        try:
            for number in range(1_000_000):
                yield SseEvent(data=str(number), id=str(number))
                await asyncio.sleep(0.01)
        finally:
            note("events closed")

    await sse(count())(scope, receive, send)


class Flood:
    """Bytes without end, made as fast as they are taken."""

    made = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    self.made += 65_536
                    yield b"x" * 65_536
            finally:
                note("flood closed")

        await stream(pieces(), "application/octet-stream")(scope, receive, send)

    async def tell(self, scope: Any, receive: Any, send: Any) -> None:
        await json_response(200, {"made": self.made})(scope, receive, send)


flood = Flood()


async def late(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    raise ValueError("late")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    note(f"echo {scope['method']} {scope['path']}")
    body = await read_body(receive, 10_000_000)
    value = {"bytes": len(body), "http_version": scope["http_version"], "scheme": scope["scheme"]}
    await json_response(200, value)(scope, receive, send)


async def socket(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        await json_response(426, {})(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    message = await receive()
    await send({"type": "websocket.send", "text": message["text"].upper()})
    await send({"type": "websocket.close"})


class Odd:
    routes: Mapping[str, ASGIApp] = {
        "/slow": slow,
        "/events": events,
        "/flood": flood,
        "/flood/made": flood.tell,
        "/late": late,
        "/echo": echo,
        "/socket": socket,
        "/smuggled": echo,
    }

    def match(self, scope: Any) -> Any:
        return self.routes.get(scope["path"])

    def openapi_paths(self) -> dict[str, Any]:
        return {}


async def main(options: dict[str, Any]) -> None:
    for name in ("tls_cert", "tls_key"):
        if name in options:
            options[name] = Path(options[name])
    vars(engine_granian).update(HEAD_SECONDS_MAX=options.pop("head_seconds", 75))
    vars(body_limit).update(BODY_IDLE_SECONDS_MAX=options.pop("body_seconds", 30.0))
    vars(sys.modules["runstead.platform.http.server"]).update(
        CERTIFICATE_LOOK_SECONDS=options.pop("certificate_seconds", 15)
    )
    settings = ServerSettings(**{"port": 0, "access_log": False, **options})
    configure_logging(ObservabilitySettings(log_format="json"), Redactor(), stream=sys.stdout)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app = build_app(
        capabilities=[Capability(name="odd", dispatchers=[Odd()])],
        settings=settings,
        identity=Identity(),
        health=Health(),
        metrics=Metrics(),
    )
    await serve(app, settings, stop=stop, on_ready=lambda url: note(f"ready {url}"))
    note("stopped")


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
