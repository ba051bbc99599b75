"""What the stack costs: hello through all of it against hello from a bare ASGI function, on the same engine.

Both are measured in turns, in one run, by ``wrk`` (``apt-get install wrk``) on the same machine: read the ratio.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import re
import shutil
import statistics
import subprocess
import sys
from typing import Any

from litestar import get

from runstead.kernel.capability import ASGIApp, Capability
from runstead.platform.config.settings import ObservabilitySettings, ServerSettings
from runstead.platform.http import build_app, json_response, serve, set_route
from runstead.platform.http.router import build_router
from runstead.platform.identity import Identity
from runstead.platform.observability import Health, Metrics, Redactor, configure_logging

SECONDS = 4
ROUNDS = 3
CONNECTIONS = 64


@get("/hello")
async def hello() -> dict[str, str]:
    return {"message": "hello"}


async def bare(_scope: Any, _receive: Any, send: Any) -> None:
    body = b'{"message":"hello"}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"19")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Dispatcher:
    """The door of apps and endpoints: before the router."""

    answer = staticmethod(json_response(200, {"message": "hello"}))

    def match(self, scope: Any) -> Any:
        if scope["path"] != "/dispatched":
            return None
        set_route(scope, "/dispatched")
        return self.answer

    def openapi_paths(self) -> dict[str, Any]:
        return {}


def _app(settings: ServerSettings) -> Any:
    return build_app(
        capabilities=[Capability(name="bench", routes=[hello], dispatchers=[Dispatcher()])],
        settings=settings,
        identity=Identity(),
        health=Health(),
        metrics=Metrics(),
    )


def _serve(kind: str, engine: Any, connection: Any) -> None:
    async def main() -> None:
        settings = ServerSettings(port=0, engine=engine, access_log=kind == "logged")
        sink = open("/dev/null", "w")  # noqa: PTH123, SIM115, ASYNC230
        configure_logging(
            ObservabilitySettings(log_format="json"), Redactor("a-secret-to-look-for"), stream=sink
        )
        stop = asyncio.Event()
        app: ASGIApp = _app(settings)
        if kind in ("bare", "litestar"):
            app = bare if kind == "bare" else build_router([hello])
        serving = asyncio.create_task(serve(app, settings, stop=stop, on_ready=connection.send))
        await asyncio.to_thread(connection.recv)
        stop.set()
        await serving

    asyncio.run(main())


@contextlib.contextmanager
def running(kind: str, engine: str) -> Any:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(kind, engine, theirs))
    process.start()
    yield ours.recv()
    ours.send("stop")
    process.join()


def requests_per_second(url: str) -> float:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text:
        raise SystemExit(text)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]


CASES = (
    ("bare ASGI", "bare", "/"),
    ("stack, dispatcher", "quiet", "/dispatched"),
    ("Litestar alone", "litestar", "/hello"),
    ("stack, router", "quiet", "/hello"),
    ("stack, router, access log", "logged", "/hello"),
)


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    engine = sys.argv[1] if len(sys.argv) > 1 else "granian"
    figures: dict[str, list[float]] = {name: [] for name, _, _ in CASES}
    for _ in range(ROUNDS):
        for name, kind, path in CASES:
            with running(kind, engine) as url:
                figures[name].append(requests_per_second(url + path))
    medians = {name: statistics.median(values) for name, values in figures.items()}
    base = medians["bare ASGI"]
    print(f"{engine}, {CONNECTIONS} connections, median of {ROUNDS} rounds of {SECONDS} s")
    for name, median in medians.items():
        print(f"  {name:<28}{median:>9.0f} req/s   {median / base:5.0%} of bare")
    print(json.dumps({"engine": engine, "requests_per_second": {k: round(v) for k, v in medians.items()}}))


if __name__ == "__main__":
    main()
