"""What an app's request costs: hello of 2 KB in a fresh sealed context, beside a bare ASGI hello on the same engine and, where
its binary is given, Cloudflare's workerd (`npm install workerd`), which keeps its contexts.

All are measured in turns, in one run, by ``wrk`` (``apt-get install wrk``) on the same machine: read the ratios.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from http_stack import running
from wrk import Load, free_port, until_listening, wrk

from runstead.platform.execution.script import Invocation, Program, ScriptPool
from runstead.testing.server import ServerProcess

SECONDS = 5
ROUNDS = 3
CONNECTIONS = 32
FLOOR = 2500
#: 2 KB, as a small app has: handlers that this request does not use have to be read as well.
FILLER = "".join(
    f"function helper{number}(a, b) {{ if (a > b) return a * {number};"
    " let s = ''; for (const x of [1, 2, 3]) s += x + b; return s; }\n"
    for number in range(16)
)
HELLO = f"""function hello(context) {{ return Response.json({{ hello: context.request.params.name }}); }}
function calls(context) {{ for (let n = 0; n < 20; n += 1) sharedStorage.getItem('k'); return Response.json({{}}); }}
async function waits() {{ await new Promise((resolve) => setTimeout(resolve, 20)); return Response.json({{}}); }}
function init() {{ register('/hello/:name', 'hello'); register('/calls', 'calls'); register('/waits', 'waits'); }}
{FILLER}"""
WORKERD = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .hello)],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")]);
const hello :Workerd.Worker = (
  serviceWorkerScript = "addEventListener('fetch', (e) => e.respondWith(Response.json({{ hello: 'you' }})))",
  compatibilityDate = "2024-01-01");
"""


@contextlib.contextmanager
def ours() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        httpx.put(
            f"{server.url}/api/apps/bench",
            params={"privileged": "true"},
            content=HELLO,
            headers=server.headers,
        ).raise_for_status()
        yield server.url


@contextlib.contextmanager
def bare() -> Iterator[str]:
    with running("bare", "granian") as url:
        yield url


@contextlib.contextmanager
def workerd() -> Iterator[str]:
    binary = _workerd()
    assert binary is not None
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.capnp"
        config.write_text(WORKERD.format(port=port))
        process = subprocess.Popen([binary, "serve", str(config)], stdout=subprocess.DEVNULL)
        try:
            until_listening(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _workerd() -> str | None:
    given = sys.argv[1] if len(sys.argv) > 1 else None
    return given or shutil.which("workerd")


def load(url: str) -> Load:
    return wrk(url, connections=CONNECTIONS, seconds=SECONDS)


async def contexts() -> dict[str, float]:
    """Milliseconds of one invocation in one worker, without HTTP; and the memory of a worker."""
    async with ScriptPool(workers=1) as pool:
        program = Program.of("bench.js", HELLO)
        request = {
            "request": {"params": {"name": "you"}, "headers": {}, "body": "", "method": "GET"},
            "kind": "httpRoute",
        }

        async def one(function: str) -> float:
            started = time.perf_counter()
            await pool.run(program, Invocation(function=function, argument=request), host_calls=_nothing)
            return (time.perf_counter() - started) * 1000

        for _ in range(50):
            await one("hello")
        fresh = [await one("hello") for _ in range(500)]
        calling = [await one("calls") for _ in range(200)]
        (worker,) = pool._all  # noqa: SLF001
        memory = _pss(worker.pid)
    context = statistics.median(fresh)
    return {
        "context_ms": context,
        "host_call_ms": (statistics.median(calling) - context) / 20,
        "worker_mb": memory,
    }


async def _nothing(_name: str, _arguments: str) -> str:
    return "null"


def _pss(pid: int) -> float:
    """Of the process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"Pss:\s+(\d+) kB", text)
    return (int(found[1]) / 1024 if found else 0.0) + sum(_pss(int(child)) for child in children)


def main() -> None:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    cases: list[tuple[str, Callable[[], contextlib.AbstractContextManager[str]], str]] = [
        ("bare ASGI hello", bare, "/"),
        ("app, fresh context", ours, "/hello/you"),
        ("app, 20 host calls", ours, "/calls"),
        ("app that waits 20 ms", ours, "/waits"),
    ]
    if _workerd() is not None:
        cases.append(("workerd, kept context", workerd, "/"))
    figures: dict[str, list[Load]] = {name: [] for name, _, _ in cases}
    for _ in range(ROUNDS):
        for name, start, path in cases:
            with start() as url:
                if name.startswith("app") and not figures[name]:
                    load(url + path)
                figures[name].append(load(url + path))
    medians = {
        name: {key: statistics.median(getattr(one, key) for one in many) for key in ("rate", "p50", "p99")}
        for name, many in figures.items()
    }
    base = medians["bare ASGI hello"]["rate"]
    print(f"{CONNECTIONS} connections, median of {ROUNDS} rounds of {SECONDS} s")
    for name, found in medians.items():
        share = found["rate"] / base
        print(
            f"  {name:<24}{found['rate']:>8.0f} req/s {share:>5.0%}   p50 {found['p50']:6.1f} ms   p99 {found['p99']:6.1f} ms"
        )
    inside = asyncio.run(contexts())
    print(
        f"  one fresh context {inside['context_ms']:.2f} ms, one host call {inside['host_call_ms'] * 1000:.0f} us,"
        f" a worker {inside['worker_mb']:.1f} MB"
    )
    print(f"  floor: {FLOOR} req/s; reached {medians['app, fresh context']['rate'] / FLOOR:.0%} of it")
    print(json.dumps({"cases": medians, **inside}))


if __name__ == "__main__":
    main()
